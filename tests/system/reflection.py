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
import random
import re
import subprocess
import sys
import threading
import time

from msgd_frame import crc32c, frame, parse
from msgd_session import SessionClient
from msgd_test import (IS_INSTRUMENTED, LONG, SOURCE, Closed, Story, build_path, enter_network_namespace, main, rss_kib, run,
                       udp_socket, wait_until)

IS_PERMITTED = enter_network_namespace()
HERE, BESIDE = "192.0.2.1", "192.0.2.3"  # addresses of this host that are not loopback
NOWHERE = "10.0.0.0/8"  # what is sent there leaves by a link at whose other end nobody listens
HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP

SOURCE_ID = "9f8e7d6c5b4a3921"
SESSION, NONCE, TOKEN = "c4ca4238a0b923820dcc509a6f75849b", "5d41402abc4b2a76b9719d911017c592", "0123456789abcdef"

SINGLE = {"sessions": "auto", "session_ports": "single"}

# One of each type, made so that it would be answered if it ever were.
FRAMES = {
    "send": frame("send", b"1", 200, id=SOURCE_ID + ".1", ack="stored"),
    "released": frame("send", b"1", 200, id=SOURCE_ID + ".2", ack="released"),
    "not JSON": frame("send", b"x", 200, id=SOURCE_ID + ".3", ack="stored"),
    "batch": frame("batch", b"\x1e1\n\x1e2\n", 200, id=SOURCE_ID + ".4", ack="stored"),
    "request": frame("request", b"1", 200, id=SOURCE_ID + ".6"),
    "reply": frame("reply", b"1", 200, id=SOURCE_ID + ".7"),
    "ack": frame("ack", pad_to=200, id=SOURCE_ID + ".8", ack="stored"),
    "nack": frame("nack", pad_to=200, id=SOURCE_ID + ".9", reason="mailbox_full", retry=True),
    "connect": frame("connect", pad_to=1200, nonce=NONCE, window=65536),
    "wrong cookie": frame("connect", pad_to=1200, nonce=NONCE, window=65536, cookie="0123456789abcdef"),
    "challenge": frame("challenge", pad_to=200, nonce=NONCE, cookie="abc"),
    "accept": frame("accept", pad_to=200, nonce=NONCE, session=SESSION, window=65536, port=25000),
    "refuse": frame("refuse", pad_to=200, nonce=NONCE, reason="full"),
    "data": frame("data", b"\x1e1\n", 200, session=SESSION, n=1, offset=0, ack=0, window=65536),
    "close": frame("close", pad_to=200, session=SESSION, reason="idle"),
    "ping": frame("ping", pad_to=200, token=TOKEN),
    "session ping": frame("ping", pad_to=200, session=SESSION, token=TOKEN),
    "pong": frame("pong", pad_to=200, token=TOKEN),
    "session pong": frame("pong", pad_to=200, session=SESSION, token=TOKEN),
    "unknown": frame("hello", b"1", 200, id=SOURCE_ID + ".10", ack="stored"),
    "malformed": b"\x1e{\"type\":\"send\",\"id\":\"\"}\n1" + b" " * 200,
    "no JSON": b"hello" + b" " * 200,
}


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


def corpus(target):
    """The inputs of a fuzz target that fit into a datagram; as they are, and with the checksum that they should have."""
    for path in sorted((SOURCE / "tests/fuzz/corpus" / target).iterdir()):
        data = path.read_bytes()[:60000]
        yield data
        digits = re.search(rb'"crc":"([0-9a-f]{8})"', data)
        if digits:
            zeroed = data[:digits.start(1)] + b"0" * 8 + data[digits.end(1):]
            yield zeroed.replace(b'"crc":"00000000"', b'"crc":"%08x"' % crc32c(zeroed), 1)


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


class Marker:
    """A message that is acknowledged: what came before it has been answered if it ever is."""

    def __init__(self):
        self.socket = udp_socket()
        self.number = 0
        self.source = f"{random.getrandbits(64):016x}"

    def pass_through(self, to, wish="stored"):
        self.number += 1
        self.socket.sendto(frame("send", b"null", 128, id=f"{self.source}.{self.number}", ack=wish), to)
        while True:
            header, _ = parse(self.socket.recv(65536))
            if (header["type"], header["id"], header["ack"]) == ("ack", f"{self.source}.{self.number}", wish):
                return

    def close(self):
        self.socket.close()


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

    def marker(self):
        marker = Marker()
        self.addCleanup(marker.close)
        return marker

    def bytes_that_left(self):
        """UDP payload that went to NOWHERE so far."""
        shown = json.loads(run(["ip", "-s", "-j", "link", "show", "nowhere"]).stdout)[0]["stats64"]["tx"]
        return shown["bytes"] - HEADERS * shown["packets"]

    # ---- Lengths ----

    def answer_lengths(self, to, datagrams, marker):
        """Sends each datagram from a socket of its own; yields it with what came back, in bytes."""
        sockets = [udp_socket() for _ in datagrams]
        for s, datagram in zip(sockets, datagrams):
            s.sendto(datagram, to)
        marker.pass_through(to)
        for s, datagram in zip(sockets, datagrams):
            n_bytes = 0
            s.setblocking(False)
            try:
                while True:
                    n_bytes += len(s.recv(65536))
            except BlockingIOError:
                yield datagram, n_bytes
            s.close()

    def check_lengths(self, msgd, name, datagrams):
        to = ("127.0.0.1", msgd.endpoint(name)["port"])
        marker = self.marker()
        n_in = n_out = 0
        for at in range(0, len(datagrams), 100):
            for datagram, n_bytes in self.answer_lengths(to, datagrams[at:at + 100], marker):
                self.assertLessEqual(n_bytes, len(datagram), datagram)
                n_in, n_out = n_in + len(datagram), n_out + n_bytes
        return n_in, n_out

    def test_no_input_of_a_fuzz_target_is_answered_with_more_than_it_is(self):
        msgd = self.start()
        endpoints = {"json": {}, "sessions": {"sessions": "auto"}, "ask": {"sessions": "ask"}, "single": SINGLE}
        for name, settings in endpoints.items():
            msgd.receive(name, mailbox_bytes=16 << 20, **settings)
        targets = ["frame", "datagram", "json_text", *(t for t in ("session",) if (SOURCE / "tests/fuzz/corpus" / t).is_dir())]
        datagrams = [data for target in targets for data in corpus(target)] + list(FRAMES.values())
        for name in endpoints:
            n_in, n_out = self.check_lengths(msgd, name, datagrams)
            self.assertGreater(n_out, 0, "nothing was answered at all")
            self.report(f"{name}: {len(datagrams)} inputs", f"{n_in} bytes in, {n_out} out: {n_out / n_in:.3f}")

    def test_an_answer_that_would_be_longer_is_not_sent(self):
        msgd = self.start()
        msgd.receive("short")
        to = ("127.0.0.1", msgd.endpoint("short")["port"])
        marker = self.marker()
        for n_bytes in range(60, 200):
            datagram = frame("send", b"1", n_bytes, id=SOURCE_ID + f".{n_bytes}", ack="stored")
            for sent, came in self.answer_lengths(to, [datagram], marker):
                self.assertLessEqual(came, len(sent))
                if len(sent) >= 128:
                    self.assertGreater(came, 0, sent)

    def test_a_session_that_seems_to_have_moved_sends_no_more_there_than_came_from_there(self):
        self.need_namespace()
        msgd = self.start()
        for settings in ({"sessions": "auto"}, SINGLE):
            server = msgd.receive("server", address=HERE, **settings)
            client = SessionClient((HERE, server.port), source=HERE).connect()
            self.addCleanup(client.close)
            client.write("1")
            client.drain()
            session = server.take(2)[0]["session"]
            before, n_bytes = self.bytes_that_left(), 0
            text = '"' + "x" * 5000 + '"'
            for _ in range(20):
                msgd.call("Write", session=session, payload=text)
                client.n += 1
                datagram = frame("data", pad_to=random.choice([200, 1200]), session=client.session, n=client.n, offset=0,
                                 ack=client.n_in, window=client.consumed + client.window_bytes)
                spoof(NOWHERE, 0, client.to, datagram)
                n_bytes += len(datagram)
                self.assertEqual(client.read(), text)
            n_out = self.bytes_that_left() - before
            self.report("a session that seems to move", f"{n_out} bytes out, {n_bytes} in")
            self.assertLessEqual(n_out, n_bytes)
            self.assertGreater(n_out, 0, "nobody has asked there")
            client.finish()
            msgd.call("Close", session=session)
            client.wait_finished()
            server.close()
            msgd.release("server")

    # ---- Silence ----

    def check_silence(self, first, second):
        """One packet with the address of the first at the second: at most one comes back, and that is all."""
        marker = self.marker()
        ends = {d: (HERE, d.endpoint("end")["port"]) for d in (first, second)}
        for what, datagram in FRAMES.items():
            before = {d: d.ledger("end")["datagrams"] for d in (first, second)}
            spoof(HERE + "/32", ends[first][1], ends[second], datagram)
            # Each has read what the other has sent, and the consumers have released it: some wish to know of that.
            for daemon in (second, first, second, first):
                marker.pass_through(ends[daemon], wish="released")
            came = {d: d.ledger("end")["datagrams"] - before[d] - 2 for d in (first, second)}
            self.assertEqual(came[second], 1, what)
            self.assertLessEqual(came[first], 1, what)

    def test_two_daemons_that_are_set_on_each_other_fall_silent_at_once(self):
        self.need_namespace()
        first, second = self.start(), self.start()
        for settings in ({}, {"sessions": "auto"}, SINGLE):
            for daemon in (first, second):
                daemon.receive("end", address=HERE, lease_s=0, **settings)
            self.check_silence(first, second)
            self.check_silence(second, first)
            for daemon in (first, second):
                daemon.release("end")

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

    def send_paced(self, msgd, receiver, datagrams, are_new=False):
        """In portions that the socket's buffer holds, each of which is read before the next; returns what came."""
        payloads = []
        with udp_socket() as s:
            for at in range(0, len(datagrams), 500):
                portion = datagrams[at:at + 500]
                for datagram in portion:
                    s.sendto(datagram, ("127.0.0.1", receiver.port))
                msgd.sent[receiver.name] += len(portion)
                payloads += receiver.payloads(len(portion)) if are_new else []
                msgd.wait_for_ledger(receiver.name, datagrams=msgd.sent[receiver.name])
        return payloads

    def test_a_capture_that_is_replayed_delivers_nothing_twice(self):
        msgd = self.start()
        n = 5000 if IS_INSTRUMENTED else 100000
        each = 4000  # a window's worth from one source
        receiver = msgd.receive("once", mailbox_bytes=64 << 20)
        capture = [frame("send", b"%d" % i, with_crc=False, id=f"{i // each:016x}.{i % each + 1}", ack="stored")
                   for i in range(n)]
        payloads = self.send_paced(msgd, receiver, capture, are_new=True)
        self.assertEqual([int(p) for p in payloads], list(range(n)))
        for _ in range(2):
            self.send_paced(msgd, receiver, capture)
            random.shuffle(capture)
        msgd.wait_for_ledger("once", delivered=n, duplicate=2 * n)

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
        n, portion = (1_000_000, 50_000) if LONG else (5_000, 2_500) if IS_INSTRUMENTED else (50_000, 10_000)
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
        if not IS_INSTRUMENTED:  # whose memory is not msgd's alone
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
