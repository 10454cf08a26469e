# SPDX-License-Identifier: MIT
"""
Framed datagrams written by hand, from docs/protocol.md alone: an opinion that shares no code with proto/frame.

    datagram = frame("send", b'{"temp": 21.5}', pad_to=128, id="9f8e7d6c5b4a3921.17", ack="stored")
    header, body = parse(datagram)
"""

import json
import random
import select
import time

RS = 0x1E
WINDOW = 4096  # a sender keeps fewer numbers than this between its oldest unanswered message and its newest


def _crc_table():
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        yield n


_TABLE = list(_crc_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def frame(kind, body=b"", pad_to=0, with_crc=True, **members):
    """A framed datagram of at least pad_to bytes."""
    header = {"type": kind, **members}
    if with_crc:
        header["crc"] = "00000000"

    def written():
        return bytes([RS]) + json.dumps(header, separators=(",", ":")).encode() + b"\n" + body
    missing = pad_to - len(written())
    if missing > 0:
        header["pad"] = "x" * missing
    datagram = written()
    if with_crc:
        datagram = datagram.replace(b'"crc":"00000000"', b'"crc":"%08x"' % crc32c(datagram), 1)
    return datagram


def parse(datagram):
    """(header, body) of a framed datagram; fails where it is none, or its checksum does not match."""
    assert datagram[:1] == bytes([RS]), f"not framed: {datagram[:80]!r}"
    head, newline, body = datagram[1:].partition(b"\n")
    assert newline, f"no end of the header: {datagram[:80]!r}"
    header = json.loads(head)
    if "crc" in header:
        zeroed = datagram.replace(b'"crc":"' + header["crc"].encode(), b'"crc":"00000000', 1)
        assert f"{crc32c(zeroed):08x}" == header["crc"], f"checksum of {datagram[:200]!r}"
    return header, body


class Sender:
    """
    Sends JSON texts with a wish for an acknowledgement and repeats what was not answered. `outcomes` has, by number,
    "stored", "released", or a nack's reason; n_datagrams is what went out, repetitions included.
    """

    def __init__(self, s, to, wish="stored", kind="send"):
        self.socket, self.to, self.wish, self.kind = s, to, wish, kind
        self.source = f"{random.getrandbits(64):016x}"
        self.number = 0
        self.waiting = {}  # number: [text, due, wait]
        self.outcomes = {}
        self.replies = {}
        self.answers = []  # every header that came
        self.n_datagrams = 0
        self.longest_answer = 0

    def send(self, number, text):
        self.n_datagrams += 1
        wish = {} if self.kind == "request" else {"ack": self.wish}
        self.socket.sendto(frame(self.kind, text, pad_to=128, id=f"{self.source}.{number}", **wish), self.to)

    def put(self, text):
        """Sends the next message. Returns its number."""
        self.number += 1
        self.send(self.number, text)
        self.waiting[self.number] = [text, time.monotonic() + 0.2, 0.2]
        return self.number

    def run(self, timeout):
        """Takes what comes within so many seconds, and repeats what is due."""
        while select.select([self.socket], [], [], timeout)[0]:
            self.take(self.socket.recv(65536))
            timeout = 0
        now = time.monotonic()
        for number, waiting in list(self.waiting.items()):
            if waiting[1] <= now:
                self.send(number, waiting[0])
                waiting[2] = min(2 * waiting[2], 1) * random.uniform(1, 1.5)
                waiting[1] = now + waiting[2]

    def take(self, datagram):
        self.longest_answer = max(self.longest_answer, len(datagram))
        header, body = parse(datagram)
        self.answers.append(header)
        source, _, number = header["id"].partition(".")
        assert source == self.source, header
        for n in range(int(number), int(number) + header.get("count", 1)):
            self.settle(n, header, body)

    def settle(self, number, header, body):
        if header["type"] == "ack" and header["ack"] in (("released",) if self.kind == "request" else (self.wish, "released")):
            self.outcomes[number] = header["ack"]
        elif header["type"] == "reply":
            self.replies[number] = body
            self.outcomes[number] = "reply"
        elif header["type"] == "nack" and not header.get("retry", False):
            self.outcomes[number] = header["reason"]
        else:
            return
        self.waiting.pop(number, None)

    def has_room(self, most):
        """May the next message be sent: fewer than `most` under way, and the oldest near enough?"""
        oldest = min(self.waiting, default=self.number)
        return len(self.waiting) < most and self.number - oldest < WINDOW - 1

    def send_all(self, texts, most=64, timeout=60):
        """Sends all texts and waits until each one has its outcome."""
        deadline = time.monotonic() + timeout
        for text in texts:
            while not self.has_room(most):
                self.run(0.02)
            self.put(text)
            self.run(0)
        while self.waiting:
            self.run(0.02)
            assert time.monotonic() < deadline, f"{len(self.waiting)} of {self.number} without an answer"
