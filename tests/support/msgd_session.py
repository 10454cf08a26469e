# SPDX-License-Identifier: MIT
"""
The client of a session, written by hand from docs/protocol.md, section "Sessions": slow, patient and simple.

    client = SessionClient(("127.0.0.1", 7000), identity='{"who": "me"}').connect()
    client.write('"hello"')
    print(client.read())
    client.finish()
    client.wait_closed()

Everything happens inside calls; what the server must not see is done by leaving a method out.
"""

import json
import os
import select
import socket
import time

from msgd_frame import frame, parse
from msgd_process import SLOWNESS, wait_until
from msgd_test import Story

RS, LF = b"\x1e", b"\n"
BODY = 1000
AGAIN = 0.1  # seconds until what was not acknowledged goes again
IN_FLIGHT = 64 * BODY


class Refused(Exception):
    """The server's side said no; str() is the reason."""


class Ended(Exception):
    """The session has been closed; str() is the reason."""


class SessionClient:
    def __init__(self, to, source=None, identity=None, window=262144, s=None):
        self.asked = self.to = to
        self.socket = s or socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
        if s is None:
            self.socket.bind((source or ("::1" if ":" in to[0] else "127.0.0.1"), 0))
        self.identity, self.window_bytes = identity, window
        self.nonce = os.urandom(16).hex()
        self.cookie = self.session = self.port = self.ended = None
        self.n = 0
        # Out: everything that was written, from the first byte; what is before `acked` has arrived.
        self.out, self.acked, self.sent, self.peer_window = bytearray(), 0, 0, 0
        self.has_fin = self.is_fin_acked = False
        self.sent_at = 0.0
        # In: what came in order and was not read; pieces that wait for what is missing.
        self.inbox, self.n_in, self.pieces, self.fin_at, self.consumed = bytearray(), 0, {}, None, 0
        self.highest = 0
        self.owes_ack = False

    def close(self):
        self.socket.close()

    # ---- Connecting ----

    def connect_frame(self, cookie=None, pad_to=1200):
        members = {"nonce": self.nonce, "window": self.window_bytes}
        if self.identity is not None:
            members["identity"] = json.loads(self.identity)
        if cookie:
            members["cookie"] = cookie
        return frame("connect", pad_to=pad_to, **members)

    def answer_to(self, datagram, timeout=1):
        """Sends a datagram to the address that was asked; the header of the next frame for our nonce, or None."""
        self.socket.sendto(datagram, self.asked)
        deadline = time.monotonic() + timeout * SLOWNESS
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            header, _ = parse(self.socket.recv(65536))
            if header.get("nonce") == self.nonce:
                return header
        return None

    def get_cookie(self):
        """The first half of the handshake."""
        header = self.answer_to(self.connect_frame())
        if header and header["type"] == "refuse":
            raise Refused(header["reason"])
        assert header and header["type"] == "challenge", header
        self.cookie = header["cookie"]
        return self.cookie

    def connect(self, timeout=10):
        if self.cookie is None:
            self.get_cookie()
        deadline = time.monotonic() + timeout * SLOWNESS
        while time.monotonic() < deadline:
            header = self.answer_to(self.connect_frame(self.cookie), 0.25)
            if header and header["type"] == "refuse":
                raise Refused(header["reason"])
            if header and header["type"] == "accept":
                return self.accepted(header)
        raise TimeoutError("no accept came")

    def accepted(self, header):
        self.session, self.port = header["session"], header.get("port")
        self.peer_window = header["window"]
        self.to = (self.asked[0], self.port or self.asked[1])
        return self

    # ---- Datagrams ----

    def send_data(self, offset=None, body=b"", fin=False):
        self.n += 1
        members = {"session": self.session, "n": self.n, "ack": self.n_in, "window": self.consumed + self.window_bytes}
        if body or fin:
            members["offset"] = offset
        if fin:
            members["fin"] = True
        if self.fin_at is not None and self.n_in == self.fin_at:
            members["ack"] = self.n_in + 1
        if self.highest:
            members.update(echo=self.highest, delay=0)
        self.owes_ack = False
        self.socket.sendto(frame("data", bytes(body), **members), self.to)

    def push(self):
        """Sends what the window lets go, or again what has waited too long."""
        now = time.monotonic()
        if now - self.sent_at > AGAIN * SLOWNESS and (self.sent > self.acked or (self.has_fin and not self.is_fin_acked)):
            self.sent = self.acked
        end = min(len(self.out), self.acked + IN_FLIGHT, self.peer_window)
        while self.sent < end or (self.needs_fin() and now - self.sent_at > AGAIN * SLOWNESS):
            body = self.out[self.sent:min(end, self.sent + BODY)]
            is_last = self.has_fin and self.sent + len(body) == len(self.out)
            self.send_data(self.sent, body, is_last)
            self.sent += len(body)
            self.sent_at = now
        if self.owes_ack:
            self.send_data()

    def needs_fin(self):
        return self.has_fin and not self.is_fin_acked and self.sent == len(self.out)

    def take(self, datagram):
        header, body = parse(datagram)
        if header.get("session") != self.session:
            return
        if header["type"] == "close":
            self.ended = self.ended or header["reason"]
        elif header["type"] == "ping":
            self.socket.sendto(frame("pong", session=self.session, **{k: header[k] for k in ("token",) if k in header}),
                               self.to)
        elif header["type"] == "data":
            self.take_data(header, body)

    def take_data(self, header, body):
        self.highest = max(self.highest, header["n"])
        self.peer_window = max(self.peer_window, header["window"])
        if header["ack"] > len(self.out):
            self.is_fin_acked = True
        self.acked = max(self.acked, min(header["ack"], len(self.out)))
        self.sent = max(self.sent, self.acked)
        if body or header.get("fin"):
            self.owes_ack = True
        if body:
            self.pieces[header["offset"]] = max(self.pieces.get(header["offset"], b""), body, key=len)
        if header.get("fin"):
            self.fin_at = header["offset"] + len(body)
        self.join_pieces()

    def join_pieces(self):
        for offset in sorted(self.pieces):
            if offset > self.n_in:
                break
            body = self.pieces.pop(offset)
            new = body[self.n_in - offset:]
            self.inbox += new
            self.n_in += len(new)

    def turn(self, timeout=0.02):
        """Sends what is to be sent, takes what comes within so many seconds."""
        self.push()
        while select.select([self.socket], [], [], timeout)[0]:
            self.take(self.socket.recv(65536))
            timeout = 0
        if self.ended is None:
            self.push()

    def until(self, condition, what, timeout=10):
        deadline = time.monotonic() + timeout * SLOWNESS
        while not condition():
            if self.ended is not None:
                raise Ended(self.ended)
            assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
            self.turn()

    # ---- Messages ----

    def write(self, text):
        self.out += RS + (text if isinstance(text, bytes) else text.encode()) + LF
        self.turn(0)

    def write_bytes(self, data):
        self.out += data
        self.turn(0)

    def read(self, timeout=10):
        """The next message; None: the server has finished."""
        self.until(lambda: LF in self.inbox or (self.fin_at is not None and self.n_in == self.fin_at), "a message", timeout)
        if LF not in self.inbox:
            return None
        text, _, rest = self.inbox.partition(LF)
        self.consumed += len(text) + 1
        self.owes_ack = True
        self.inbox = bytearray(rest)
        assert text[:1] == RS, text[:80]
        return text[1:].decode()

    def drain(self, timeout=10):
        """Waits until everything that was written has been acknowledged."""
        self.until(lambda: self.acked == len(self.out), "the acknowledgement", timeout)

    def finish(self):
        self.has_fin = True
        self.sent_at = 0.0
        self.turn(0)

    def wait_finished(self, timeout=10):
        """Until both sides have finished and know it."""
        self.until(lambda: self.is_fin_acked and self.fin_at is not None and self.n_in == self.fin_at, "the end", timeout)
        self.turn(0)

    def wait_ended(self, timeout=10):
        """The reason for which the server's side has closed it."""
        try:
            self.until(lambda: False, "a close", timeout)
        except Ended as ended:
            return str(ended)


class SessionStory(Story):
    """A daemon, servers by Receive, and clients as above."""

    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def serve(self, name="talk", **parameters):
        """A Receive caller of an endpoint with sessions."""
        return self.msgd.receive(name, **{"sessions": "auto", **parameters})

    def listening(self, name, msgd=None):
        """A Listen that hears of sessions from now on."""
        listen = (msgd or self.msgd).connect().stream("Listen", name=name)
        self.event(listen, "listening", session="")
        return listen

    def client(self, server, to=None, **options):
        client = SessionClient((to or "127.0.0.1", server.port), **options)
        self.addCleanup(client.close)
        return client

    def event(self, server, kind, **wanted):
        """The next reply of a Receive or Listen must be this event."""
        connection = getattr(server, "connection", server)
        event = connection.receive()
        self.assertEqual(event.get("event"), kind, event)
        for key, value in wanted.items():
            self.assertEqual(event[key], value, event)
        return event

    def counted(self, name):
        """A metric of msgd itself."""
        text = self.msgd.call("Metrics")["text"]
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(f"msgd_{name} "))

    def wait_for_count(self, name, value):
        wait_until(lambda: self.counted(name) == value, 10, f"{name} to be {value}")
