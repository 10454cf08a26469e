# SPDX-License-Identifier: MIT
"""
Two hosts: this process is moved into a network namespace of its own, where msgd runs, and a second namespace
holds the other end of a veth pair, for clients:

    HOSTS = make_hosts()            # None where that is not permitted
    with HOSTS.elsewhere():         # what is opened or started in here lives on the other host
        s = udp_socket(CLIENT)
"""

import contextlib
import ctypes
import json
import os
import pathlib

from msgd_test import CLONE_NEWNET, enter_network_namespace, run

SERVER, SERVER6 = "10.9.1.1", "fd00:9:1::1"
CLIENT, CLIENT6 = "10.9.1.2", "fd00:9:1::2"
OTHER = "10.9.1.3"  # another address of the other host

_libc = ctypes.CDLL(None, use_errno=True)


def _must(arguments, **options):
    result = run(arguments, **options)
    assert result.returncode == 0, f"{arguments}: {result.stderr}"
    return result.stdout


class Hosts:
    def __init__(self):
        self.here = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        self.there = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._no_waiting_for_addresses()
        _must(["ip", "link", "set", "lo", "up"])
        self._enter(self.here)
        self._no_waiting_for_addresses()
        _must(["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns",
               f"/proc/{os.getpid()}/fd/{self.there}"])
        self._address("v0", SERVER, SERVER6)
        with self.elsewhere():
            self._address("v1", CLIENT, CLIENT6)
            _must(["ip", "addr", "add", OTHER + "/24", "dev", "v1"])

    def _enter(self, namespace):
        if _libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    @staticmethod
    def _no_waiting_for_addresses():
        for what in ("all", "default"):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{what}/accept_dad").write_text("0", encoding="ascii")

    @staticmethod
    def _address(link, address, address6):
        _must(["ip", "addr", "add", address + "/24", "dev", link])
        _must(["ip", "-6", "addr", "add", address6 + "/64", "dev", link, "nodad"])
        _must(["ip", "link", "set", link, "up"])

    @contextlib.contextmanager
    def elsewhere(self):
        """The other host. (For this thread alone.)"""
        self._enter(self.there)
        try:
            yield
        finally:
            self._enter(self.here)

    def nft(self, text):
        """Commands for nft(8) on the host that is entered at present."""
        _must(["nft", "-f", "-"], input=text + "\n")

    def lose(self, percent):
        """From now on each host loses so many of a hundred UDP datagrams that reach it (0: none)."""
        self._lose_here(percent)
        with self.elsewhere():
            self._lose_here(percent)

    def _lose_here(self, percent):
        self.nft("table inet bad\ndelete table inet bad")
        if percent:
            some = f"numgen random mod 100 < {percent}" if percent < 100 else ""
            self.nft(f"""table inet bad {{
                chain in {{ type filter hook input priority 0
                    udp dport 1-65535 {some} counter drop
                }}
            }}""")

    def n_lost(self):
        """How many datagrams this host has lost since lose()."""
        shown = json.loads(_must(["nft", "-j", "list", "chain", "inet", "bad", "in"]))
        return sum(part["counter"]["packets"] for entry in shown["nftables"] if "rule" in entry
                   for part in entry["rule"]["expr"] if "counter" in part)

    def translate(self, port, to_address, to_port):
        """
        What the other host sends from CLIENT and this port leaves as to_address and to_port, and what comes back is
        given to CLIENT again; what is still sent to the former port is lost: a router's new mapping in the middle of a
        conversation. Stateless, so that it takes effect at once. None for to_address ends it.
        """
        with self.elsewhere():
            self.nft("table ip router\ndelete table ip router")
            if to_address:
                self.nft(f"""table ip router {{
                    chain out {{ type filter hook output priority 0;
                        ip saddr {CLIENT} udp sport {port} udp sport set {to_port} ip saddr set {to_address}; }}
                    chain in {{ type filter hook prerouting priority -300;
                        ip daddr {to_address} udp dport {to_port} udp dport set {port} ip daddr set {CLIENT} accept
                        ip daddr {CLIENT} udp dport {port} drop; }}
                }}""")


def make_hosts():
    """The two hosts, or None where this process may not make them."""
    if not enter_network_namespace():
        return None
    try:
        return Hosts()
    except (OSError, AssertionError, FileNotFoundError):
        return None
