# SPDX-License-Identifier: MIT
"""Multicast, broadcast and addresses that come later, in a network namespace of the test's own."""

import pathlib
import socket
import struct

from msgd_test import Story, enter_network_namespace, main, run, send_udp, udp_socket, wait_until

IS_PERMITTED = enter_network_namespace()
GROUP, GROUP6 = "239.1.2.3", "ff12::123"


def ip(*arguments):
    result = run(["ip", *arguments])
    assert result.returncode == 0, result.stderr


class Network(Story):
    @classmethod
    def setUpClass(cls):
        if not IS_PERMITTED:
            return
        for what in ("all", "default"):  # an address that is still being tried out is no address yet
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{what}/accept_dad").write_text("0")
        ip("link", "add", "t0", "type", "veth", "peer", "name", "t1")
        for link in ("t0", "t1"):
            ip("link", "set", link, "up")
        ip("addr", "add", "10.9.0.1/24", "broadcast", "10.9.0.255", "dev", "t0")
        ip("-6", "addr", "add", "fd00:9::1/64", "dev", "t0", "nodad")
        ip("route", "add", "224.0.0.0/4", "dev", "t0")
        ip("-6", "route", "add", "ff12::/16", "dev", "t0", "table", "local")

    def setUp(self):
        super().setUp()
        if not IS_PERMITTED:
            self.skipTest("needs root and ip(8), for a network namespace")
        self.msgd = self.start()

    def sender(self):
        """A socket that sends multicast out of t0 and hears itself."""
        s = udp_socket("10.9.0.1")
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.0.1"))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self.addCleanup(s.close)
        return s

    def test_a_multicast_group_is_joined_and_left(self):
        consumer = self.msgd.receive("group", address=GROUP)
        s = self.sender()
        s.sendto(b"1", (GROUP, consumer.port))
        self.msgd.sent["group"] += 1
        message = consumer.take(1)[0]
        self.assertEqual((message["payload"], message["to"]), ("1", f"{GROUP}:{consumer.port}"))
        self.assertIn(GROUP, run(["ip", "maddr", "show", "dev", "t0"]).stdout)
        self.msgd.release("group")
        self.assertNotIn(GROUP, run(["ip", "maddr", "show", "dev", "t0"]).stdout)

    def test_a_multicast_message_is_answered_from_the_interfaces_own_address(self):
        consumer = self.msgd.receive("group", address=GROUP, ack="manual")
        s = self.sender()
        s.sendto(b"1", (GROUP, consumer.port))
        self.msgd.sent["group"] += 1
        consumer.reply(consumer.take(1)[0], '"here"')
        self.assertEqual(s.recvfrom(100), (b'"here"', ("10.9.0.1", consumer.port)))

    def test_an_ipv6_multicast_group_is_joined(self):
        consumer = self.msgd.receive("group6", address=GROUP6 + "%t0")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            index = socket.if_nametoindex("t0")
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, struct.pack("i", index))
            s.sendto(b"6", (GROUP6, consumer.port, 0, index))
            self.msgd.sent["group6"] += 1
        message = consumer.take(1)[0]
        self.assertEqual(message["payload"], "6")
        self.assertTrue(message["to"].startswith("[" + GROUP6), message)

    def test_a_broadcast_reaches_a_wildcard_endpoint(self):
        consumer = self.msgd.receive("any", address="0.0.0.0", ack="manual")
        s = self.sender()
        s.sendto(b"1", ("10.9.0.255", consumer.port))
        self.msgd.sent["any"] += 1
        message = consumer.take(1)[0]
        self.assertEqual(message["to"], f"10.9.0.255:{consumer.port}")
        consumer.reply(message, '"here"')
        self.assertEqual(s.recvfrom(100), (b'"here"', ("10.9.0.1", consumer.port)))

    def test_a_broadcast_address_can_be_bound(self):
        consumer = self.msgd.receive("broadcast", address="10.9.0.255")
        self.sender().sendto(b"1", ("10.9.0.255", consumer.port))
        self.msgd.sent["broadcast"] += 1
        self.assertEqual(consumer.payloads(1), ["1"])

    def test_a_link_local_address_has_its_interface(self):
        address = next(line.split()[1].partition("/")[0]
                       for line in run(["ip", "-6", "addr", "show", "dev", "t0", "scope", "link"]).stdout.splitlines()
                       if "inet6" in line)
        wait_until(lambda: address in run(["ip", "-6", "route", "show", "table", "local", "dev", "t0"]).stdout, 10,
                   f"{address} to be an address of this host")
        consumer = self.msgd.receive("local", address=f"{address}%t0")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.sendto(b"1", (address, consumer.port, 0, socket.if_nametoindex("t0")))
            self.msgd.sent["local"] += 1
        message = consumer.take(1)[0]
        self.assertTrue(message["from"].startswith(f"[{address}%t0]:"), message)

    def test_an_address_that_comes_later_needs_no_restart(self):
        consumer = self.msgd.receive("later", address="10.9.0.77")
        ip("addr", "add", "10.9.0.77/24", "dev", "t0")
        self.msgd.sent["later"] += send_udp("10.9.0.77", consumer.port, ["1"])
        self.assertEqual(consumer.payloads(1), ["1"])
        ip("addr", "del", "10.9.0.77/24", "dev", "t0")

    def test_an_interface_that_comes_later_ends_pending(self):
        msgd = self.start({"endpoints": [{"name": "later", "address": "fe80::5%t9", "port": 7009},
                                         {"name": "group", "address": "239.1.1.9%t9", "port": 7010},
                                         {"name": "now", "port": 7011}]})
        self.assertEqual(msgd.endpoint("now")["state"], "held")
        for name in ("later", "group"):
            self.assertEqual(msgd.endpoint(name)["state"], "pending")
            self.assertIn("No such device", msgd.endpoint(name)["error"])
        ip("link", "add", "t9", "type", "veth", "peer", "name", "t8")
        self.addCleanup(ip, "link", "del", "t9")
        for link in ("t9", "t8"):
            ip("link", "set", link, "up")
        ip("-6", "addr", "add", "fe80::5/64", "dev", "t9", "nodad")
        for name in ("later", "group"):
            msgd.wait_for_state(name, "held")
        self.assertTrue(msgd.endpoint("later")["address"].endswith("%t9"), msgd.endpoint("later"))
        consumer = msgd.receive("later")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.sendto(b"1", ("fe80::5", 7009, 0, socket.if_nametoindex("t9")))
            msgd.sent["later"] += 1
        self.assertEqual(consumer.payloads(1), ["1"])


main()
