#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A client of msgd in Python with nothing but its standard library, written from docs/protocol.md alone.

    client.py send HOST:PORT TEXT...      each JSON text is a message; ends when all are acknowledged
    client.py batch HOST:PORT TEXT...     the same in one datagram
    client.py request HOST:PORT TEXT      prints the answer
    client.py connect HOST:PORT [WHO]     a session: lines of stdin out, messages that come on stdout;
                                          WHO, a JSON text, is the identity

Sections named below are those of docs/protocol.md.
"""
import collections
import json
import os
import random
import re
import select
import socket
import sys
import time

RS, LF = b"\x1e", b"\n"


class Failure(Exception):
    """What went wrong, for the user."""


# ---- Framed datagrams ----

def crc_table():
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


CRC_TABLE = tuple(crc_table())


def checksum(data):
    """Section "Checksum"."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return b"%08x" % (crc ^ 0xFFFFFFFF)


def frame(type_, body=b"", least=0, **members):
    """A datagram of at least so many bytes; a member that is None is left out."""
    header = {"type": type_, **{name: value for name, value in members.items() if value is not None}}

    def whole(pad, crc):
        text = json.dumps({**header, **pad, "crc": crc.decode()}, separators=(",", ":"))
        return RS + text.encode() + LF + body

    missing = least - len(whole({}, b"00000000"))
    pad = {"pad": "." * max(0, missing - len(',"pad":""'))} if missing > 0 else {}
    return whole(pad, checksum(whole(pad, b"00000000")))


def is_intact(datagram):
    """Is the checksum that of the datagram with zeros in its place?"""
    digits = re.search(rb'"crc"[ \t\r]*:[ \t\r]*"([0-9a-f]{8})"', datagram)
    return digits and checksum(datagram[:digits.start(1)] + b"0" * 8 + datagram[digits.end(1):]) == digits[1]


def members_once(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member stands twice")
    return dict(pairs)


def parse(datagram):
    """(header, body), or (None, None) for what is malformed."""
    header, lf, body = datagram[1:].partition(LF)
    if datagram[:1] != RS or not lf or len(header) > 2048:
        return None, None
    try:
        fields = json.loads(header, object_pairs_hook=members_once)
        if "crc" in fields and not is_intact(datagram):
            return None, None
        return (fields, body) if isinstance(fields["type"], str) else (None, None)
    except (ValueError, KeyError, AttributeError, TypeError):
        return None, None


def udp_socket(target):
    """Connected, so that the kernel tells when nobody has the port."""
    host, _, port = target.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise Failure(f"{target}: {error.strerror}") from None
    udp = socket.socket(family, kind)
    udp.connect(address)
    return udp


def frames(udp, timeout):
    """What comes within the timeout, in seconds, as (header, body); ends when nothing more is there."""
    while select.select([udp], [], [], max(0, timeout))[0]:
        try:
            datagram = udp.recv(65535)
        except ConnectionRefusedError:
            raise Failure("nobody is there") from None
        header, body = parse(datagram)
        if header:
            yield header, body
        timeout = 0


# ---- Acknowledged messages ----

class Sender:
    """Messages that are sent again until they are answered."""

    AT_ONCE = 10
    PATIENCE = 10

    def __init__(self, target):
        self.udp = udp_socket(target)
        self.source = random.SystemRandom().getrandbits(64)
        self.last = 0
        self.waiting = collections.deque()  # (number, how many messages, datagram)
        self.under_way = {}  # number: [how many, datagram, when it goes again, timeout, deadline]
        self.replies = {}

    def id(self, number):
        return f"{self.source:016x}.{number}"

    def put(self, type_, body, n_messages=1, least=128, **members):
        number = self.last + 1
        self.last += n_messages
        self.waiting.append((number, n_messages, frame(type_, body, least, id=self.id(number), **members)))
        return number

    def send(self, text):
        return self.put("send", text.encode(), ack="stored")

    def batch(self, texts):
        body = b"".join(RS + text.encode() + LF for text in texts)
        # Each of the answers has its part of the length; a header holds no more padding than that.
        return self.put("batch", body, len(texts), min(128 * len(texts), 1900), ack="stored")

    def request(self, text):
        return self.put("request", text.encode())

    def finish(self):
        """Until everything is answered."""
        while self.waiting or self.under_way:
            self.transmit()
            first = min(message[2] for message in self.under_way.values())
            for header, body in frames(self.udp, first - time.monotonic()):
                self.take(header, body)

    def transmit(self):
        now = time.monotonic()
        while self.waiting and len(self.under_way) < self.AT_ONCE:
            number, n_messages, datagram = self.waiting.popleft()
            self.under_way[number] = [n_messages, datagram, now, 0.2, now + self.PATIENCE]
        for message in self.under_way.values():
            if message[2] > now:
                continue
            if now >= message[4]:
                raise Failure("no answer")
            self.udp.send(message[1])
            message[2] = now + message[3] * random.uniform(1, 1.5)
            message[3] = min(2, message[3] * 2)

    def take(self, header, body):
        kind, (source, _, number) = header["type"], str(header.get("id")).partition(".")
        if kind not in ("ack", "nack", "reply") or source != f"{self.source:016x}" or not number.isdigit():
            return
        first, count = int(number), header.get("count", 1)
        if kind == "reply" and first in self.under_way:
            self.replies[first] = body
            del self.under_way[first]
        elif kind == "nack" and not header.get("retry"):
            raise Failure(f"refused: {header['reason']}")
        elif kind == "ack" and header.get("ack") != "received":  # which promises nothing yet
            self.acknowledge(first, first + count)

    def acknowledge(self, first, end):
        """Of a batch each message is acknowledged, by one answer or several."""
        for number, message in list(self.under_way.items()):
            if b'"type":"request"' in message[1]:
                message[2] += 1  # it is there: the reply will come
                continue
            message[0] -= max(0, min(end, number + message[0]) - max(first, number))
            if message[0] <= 0:
                del self.under_way[number]


# ---- Sessions ----

class Segment:
    def __init__(self, offset, data, is_end):
        self.offset, self.data, self.is_end = offset, data, is_end
        self.end = offset + len(data) + is_end  # the end of the stream takes one offset of its own
        self.number = self.sent = None


class Session:
    """Two streams of messages, one each way."""

    BUFFER = 1 << 20
    SEGMENT = 900  # bytes, so that the datagram stays below 1,200
    PATIENCE = 10
    IDLE = 30

    def __init__(self, target, identity=None):
        self.udp = udp_socket(target)
        self.id, self.peer_window = self.connect(identity)
        self.numbers = 0  # of our datagrams
        self.unsent = collections.deque()
        self.in_flight = []
        self.written = 0
        self.is_finished = False
        self.at_once, self.timeout, self.asked = 10.0, 0.25, 0.0
        self.peer_number, self.peer_time = 0, 0
        self.pieces = {}  # offset: bytes that have come before what is missing
        self.end = None  # of the peer's stream
        self.received = 0  # everything before it has come
        self.text = bytearray()
        self.heard = time.monotonic()
        self.owes_ack = False

    # Who wants to connect proves its address by giving back a cookie; see "Opening".

    def connect(self, identity):
        nonce = f"{random.SystemRandom().getrandbits(128):032x}"
        cookie, timeout, deadline = None, 0.25, time.monotonic() + self.PATIENCE
        while time.monotonic() < deadline:
            self.udp.send(frame("connect", least=1200, nonce=nonce, identity=identity, window=self.BUFFER, cookie=cookie))
            again = time.monotonic() + timeout * random.uniform(1, 1.5)
            timeout = min(1, timeout * 2)
            while time.monotonic() < again:
                for header, _ in frames(self.udp, again - time.monotonic()):
                    if header.get("nonce") != nonce:
                        continue
                    if header["type"] == "refuse":
                        raise Failure(f"refused: {header['reason']}")
                    if header["type"] == "accept":
                        return self.move(header)
                    if header["type"] == "challenge" and header["cookie"] != cookie:
                        cookie, again, timeout = header["cookie"], 0, 0.25
        raise Failure("no answer")

    def move(self, header):
        """The session goes on at a port of its own."""
        if "port" in header:
            address = self.udp.getpeername()
            self.udp.connect((address[0], header["port"], *address[2:]))
        return header["session"], header["window"]

    # For the application.

    def write(self, text):
        """One JSON text. It goes out as pump() is called."""
        data = RS + text.replace("\r", " ").replace("\n", " ").encode() + LF
        for at in range(0, len(data), self.SEGMENT):
            self.append(data[at:at + self.SEGMENT], False)

    def finish(self):
        """Nothing more will be written."""
        if not self.is_finished:
            self.append(b"", True)
        self.is_finished = True

    def messages(self):
        """The messages that have come whole."""
        while LF in self.text:
            line, _, self.text = self.text.partition(LF)
            if line[:1] != RS:
                raise Failure("this is no sequence of JSON texts")
            yield line[1:].decode()

    def has_end(self):
        """The other side has finished, and everything has come."""
        return self.end is not None and self.received > self.end

    def is_over(self):
        """Both sides have finished, and everything has come."""
        return self.is_finished and self.has_end() and not self.unsent and not self.in_flight

    def pump(self, *others, timeout=1.0):
        """Sends and receives; returns when something came, or can be read from one of the others."""
        self.transmit()
        wait = min([timeout, 0.25 if self.unsent else timeout] +
                   [s.sent + self.timeout - time.monotonic() for s in self.in_flight])
        ready = select.select([self.udp, *others], [], [], max(0, wait))[0]
        for header, body in frames(self.udp, 0):
            if header.get("session") == self.id and "crc" in header:
                self.take(header, body)
        if time.monotonic() > self.heard + self.IDLE:
            raise Failure("the other side is silent")
        self.transmit()
        return ready

    def linger(self):
        """The other side may not have got our last acknowledgement."""
        end = time.monotonic() + 4 * self.timeout
        try:
            while time.monotonic() < end:
                self.pump(timeout=end - time.monotonic())
        except Failure:
            pass  # it has closed its port: it had got it

    # Out.

    def append(self, data, is_end):
        self.unsent.append(Segment(self.written, data, is_end))
        self.written += len(data)

    def transmit(self):
        now = time.monotonic()
        for segment in self.in_flight:
            if now >= segment.sent + self.timeout:
                self.at_once = max(2.0, self.at_once / 2)
                self.timeout = min(2.0, self.timeout * 2)
                for lost in self.in_flight[:int(self.at_once)]:
                    self.emit(lost)
                break
        while self.unsent and len(self.in_flight) < self.at_once and self.unsent[0].end <= self.peer_window:
            self.in_flight.append(self.unsent.popleft())
            self.emit(self.in_flight[-1])
        if self.unsent and not self.in_flight and now >= self.asked + 0.25:
            self.asked = now  # the window is full: has it grown, and the word of it been lost?
            self.emit(offset=self.unsent[0].offset)
        if self.owes_ack:
            self.emit()

    def emit(self, segment=None, offset=None):
        """A datagram with a segment; or with an offset alone, which wants an answer; or with what has come alone."""
        members, now = {"offset": offset}, time.monotonic()
        self.numbers += 1
        if segment:
            segment.number, segment.sent = self.numbers, now
            members = {"offset": segment.offset, "fin": segment.is_end or None}
        if self.peer_number:
            members |= {"echo": self.peer_number, "delay": int((now - self.peer_time) * 1e6)}
        self.udp.send(frame("data", segment.data if segment else b"", session=self.id, n=self.numbers,
                            ack=self.received, sack=self.ranges() or None, window=self.received + self.BUFFER, **members))
        self.owes_ack = False

    def ranges(self):
        """What has come behind what is missing, as [begin, end, begin, end, ...]."""
        flat = []
        for offset in sorted(self.pieces):
            end = offset + len(self.pieces[offset])
            if flat and offset <= flat[-1]:
                flat[-1] = max(flat[-1], end)
            else:
                flat += [offset, end]
        return flat[:32]

    # In.

    def take(self, header, body):
        self.heard = time.monotonic()
        if header["type"] == "data":
            if header["n"] > self.peer_number:
                self.peer_number, self.peer_time = header["n"], self.heard
            if "offset" in header:
                self.take_segment(header, body)
            self.take_acknowledgement(header)
        elif header["type"] == "ping":
            self.udp.send(frame("pong", session=self.id, token=header.get("token")))
        elif header["type"] == "close":
            raise Failure(f"the other side has ended the session: {header['reason']}")

    def take_segment(self, header, body):
        self.owes_ack = True
        if header.get("fin"):
            self.end = header["offset"] + len(body)
        if header["offset"] + len(body) > self.received and len(body) > len(self.pieces.get(header["offset"], b"")):
            self.pieces[header["offset"]] = body
        while self.pieces and min(self.pieces) <= self.received:
            offset = min(self.pieces)
            new = self.pieces.pop(offset)[self.received - offset:]
            self.text += new
            self.received += len(new)
        if self.received == self.end:
            self.received += 1

    def take_acknowledgement(self, header):
        self.peer_window = max(self.peer_window, header["window"])
        sack = header.get("sack", [])
        come = [(0, header["ack"])] + list(zip(sack[::2], sack[1::2]))
        missing = [s for s in self.in_flight if not any(begin <= s.offset and s.end <= end for begin, end in come)]
        if len(missing) < len(self.in_flight):
            self.at_once += (len(self.in_flight) - len(missing)) / self.at_once
            self.timeout = 0.25
        self.in_flight = missing
        for segment in missing:  # three later ones have come: it is lost
            if segment.number + 3 <= header.get("echo", 0):
                self.emit(segment)


# ---- Commands ----

def converse(session):
    """Standard input to messages, messages to standard output, until both sides have finished."""
    stdin, buffer = sys.stdin.fileno(), b""
    inputs = [stdin]
    while not session.is_over():
        is_free = len(session.unsent) < 1000  # else the input waits
        if stdin in session.pump(*(inputs if is_free else [])):
            data = os.read(stdin, 65536)
            *lines, buffer = (buffer + data).split(LF)
            if not data:
                lines.append(buffer)
                inputs = []
            for line in lines:
                if line.strip():
                    json.loads(line)
                    session.write(line.decode())
            if not data:
                session.finish()
        for text in session.messages():
            print(text, flush=True)
        if session.has_end():
            session.finish()
    session.linger()


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("send", "batch", "request", "connect"):
        raise SystemExit(__doc__)
    command, target, *texts = sys.argv[1:]
    for text in texts:
        json.loads(text)
    if command == "connect":
        converse(Session(target, json.loads(texts[0]) if texts else None))
        return
    sender = Sender(target)
    if command == "batch":
        sender.batch(texts)
    else:
        for text in texts:
            sender.send(text) if command == "send" else sender.request(text)
    sender.finish()
    for number in sorted(sender.replies):
        print(sender.replies[number].decode())


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except ValueError as error:
        raise SystemExit(f"client.py: not JSON: {error}")
    except (Failure, OSError) as error:
        raise SystemExit(f"client.py: {error}")
