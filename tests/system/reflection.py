# SPDX-License-Identifier: MIT
"""
msgd is no means to hit somebody else: what it sends by itself to an address that nothing has proven is never longer than
what came from there, an answer is never answered, and what is sent twice is delivered once.

Datagrams whose source is somebody else's address need raw sockets, and a network namespace of the test's own, so
that they and their answers meet nobody.
"""

import contextlib
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

from msgd_frame import frame
from msgd_session import SessionClient
from msgd_test import (IS_INSTRUMENTED, LONG, SOURCE, Closed, Story, build_path, enter_network_namespace, main, rss_kib, run,
                       udp_socket, wait_until)

IS_PERMITTED = enter_network_namespace()
HERE, BESIDE = "192.0.2.1", "192.0.2.3"  # addresses of this host that are not loopback
NOWHERE = "10.0.0.0/8"  # what is sent there leaves by a link at whose other end nobody listens
HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP

SINGLE = {"sessions": "auto", "session_ports": "single"}


def ip(*arguments):
    result = run(["ip", *arguments])
    assert result.returncode == 0, result.stderr


@contextlib.contextmanager
def forging(source, port, to, payload, count=1, at=None):
    """Datagrams from somebody else's address, while the body runs and until they are sent."""
    arguments = [build_path("spoof"), f"{source}:{port}", f"{to[0]}:{to[1]}", str(count)]
    with subprocess.Popen(arguments + ([str(at)] if at is not None else []), stdin=subprocess.PIPE) as process:
        process.stdin.write(payload)
        process.stdin.close()
        yield
    assert process.returncode == 0, "spoof has failed"


def spoof(*arguments):
    with forging(*arguments):
        pass


def answer_all(receiver):
    """An echo service, until its daemon ends."""
    try:
        while True:
            message = receiver.connection.receive(3600)
            receiver.reply(message, message["payload"])
            receiver.ack(message)
    except (OSError, Closed):
        pass


def end_sessions(msgd, receiver):
    """A server that finishes as soon as its client has, until its daemon ends."""
    try:
        while True:
            event = receiver.connection.receive(3600)
            if event.get("event") == "finish":
                msgd.call("Close", session=event["session"])
    except (OSError, Closed):
        pass


class Recorder:
    """A socket that remembers what it sent."""

    def __init__(self):
        self.socket = udp_socket()
        self.capture = []

    def sendto(self, data, to):
        self.capture.append((data, to))
        return self.socket.sendto(data, to)

    def replay(self):
        for data, to in list(self.capture):
            self.socket.sendto(data, to)

    def __getattr__(self, name):
        return getattr(self.socket, name)


class Reflection(Story):
    @classmethod
    def setUpClass(cls):
        if not IS_PERMITTED:
            return
        pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        ip("link", "add", "nowhere", "type", "veth", "peer", "name", "nobody")
        for link in ("nowhere", "nobody"):
            ip("link", "set", link, "up")
        for address in (HERE, BESIDE):
            ip("addr", "add", address + "/24", "dev", "nowhere")
        ip("neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "nowhere", "nud", "permanent")
        ip("route", "add", NOWHERE, "via", "192.0.2.2")

    def need_namespace(self):
        if not IS_PERMITTED:
            self.skipTest("needs root and ip(8), for forged source addresses in a network namespace")

    def bytes_that_left(self):
        """UDP payload that went to NOWHERE so far."""
        shown = json.loads(run(["ip", "-s", "-j", "link", "show", "nowhere"]).stdout)[0]["stats64"]["tx"]
        return shown["bytes"] - HEADERS * shown["packets"]

    # ---- Silence ----

    def test_two_echo_services_talk_no_more_than_the_limit_allows(self):
        self.need_namespace()
        limit = 50
        ends = []
        for address in (HERE, BESIDE):
            msgd = self.start({"limits": {"replies_per_source": limit}})
            echo = msgd.receive("echo", address=address, ack="manual")
            threading.Thread(target=answer_all, args=[echo], daemon=True).start()
            ends.append((msgd, (address, echo.port)))
        begun = time.monotonic()
        spoof(HERE + "/32", ends[0][1][1], ends[1][1], b'"again"')

        def limited():
            return any(re.search(r"^msgd_replies_limited_total [1-9]", msgd.call("Metrics")["text"], re.M) for msgd, _ in ends)
        wait_until(limited, 30, "the echoes to reach the limit")
        allowed = limit * (1 + time.monotonic() - begun)
        for msgd, _ in ends:
            self.assertLessEqual(msgd.ledger("echo")["datagrams"], allowed + 1)

    # ---- Twice ----

    def test_a_session_that_is_replayed_delivers_nothing_twice(self):
        msgd = self.start()
        for settings in ({"sessions": "auto"}, SINGLE):
            receiver = msgd.receive("server", **settings)
            to = ("127.0.0.1", receiver.port)
            recorder = Recorder()
            self.addCleanup(recorder.close)
            client = SessionClient(to, s=recorder).connect()
            for n in range(100):
                client.write(str(n))
            client.drain()
            recorder.replay()
            client.write("100")
            client.drain()
            client.finish()
            events = receiver.take(103)
            self.assertEqual([e["event"] for e in events], ["open", *["message"] * 101, "finish"])
            self.assertEqual([int(e["payload"]) for e in events[1:-1]], list(range(101)))
            msgd.call("Close", session=events[0]["session"])
            client.wait_finished()
            self.assertEqual(receiver.take(1)[0]["event"], "close")
            recorder.replay()
            recorder.sendto(b'"plain"', to)
            self.assertEqual(receiver.take(1)[0]["payload"], '"plain"')
            receiver.close()
            msgd.release("server")

    # ---- Memory ----

    def test_forged_connects_take_no_memory_and_an_honest_client_connects_meanwhile(self):
        self.need_namespace()
        n, portion = (1_000_000 if LONG else 50_000 if not IS_INSTRUMENTED else 5_000), 5_000
        msgd = self.start()
        server = msgd.receive("server", address=HERE, sessions="auto", gro=False)
        threading.Thread(target=end_sessions, args=[msgd, server], daemon=True).start()
        to = (HERE, server.port)
        connect = frame("connect", pad_to=1200, with_crc=False, nonce="0" * 32, window=65536)
        self.forge_beside_an_honest_client(to, connect, portion)  # what is made once is made now
        before, bytes_before = rss_kib(msgd.pid), self.bytes_that_left()
        n_before = msgd.ledger("server")["datagrams"]
        while msgd.ledger("server")["datagrams"] - n_before < n:
            self.forge_beside_an_honest_client(to, connect, portion)
        n_read = msgd.ledger("server")["datagrams"] - n_before
        after, n_bytes = rss_kib(msgd.pid), self.bytes_that_left() - bytes_before
        self.report(f"{n_read} forged connects", f"{after - before:+d} KiB resident; "
                    f"{n_bytes} bytes out, {n_read * len(connect)} in: {n_bytes / n_read / len(connect):.3f}")
        self.assertLess(after - before, 1024)
        self.assertLess(n_bytes, n_read * len(connect))
        self.assertGreater(n_bytes, 0)
        wait_until(lambda: not msgd.endpoint("server")["sessions"], 10, "the honest clients' sessions to be over")

    def forge_beside_an_honest_client(self, to, connect, count):
        at = connect.index(b"0" * 32)
        with forging(NOWHERE, 0, to, connect, count, at):
            result = run([sys.executable, "-B", SOURCE / "docs/examples/client.py", "connect", f"{to[0]}:{to[1]}"], input="1")
        self.assertEqual(result.returncode, 0, result.stderr)


main()
