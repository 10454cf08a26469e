# SPDX-License-Identifier: MIT
"""Control clients that misbehave are closed with a reason in the log; no other client notices, nothing grows."""

import json
import os
import socket
import time

from msgd_test import (IS_INSTRUMENTED, Closed, Connection, Story, main, n_descriptors, numbered, rss_kib, send_udp,
                       wait_until)

CLOSED = (Closed, ConnectionResetError, BrokenPipeError)


class ControlAbuse(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start({"limits": {"frame_timeout_s": 1, "frame_bytes": 65536}})
        self.good = self.msgd.receive("thermo")
        self.descriptors = n_descriptors(self.msgd.pid)

    def expect_closed(self, connection, timeout=10):
        with self.assertRaises(CLOSED):
            while True:
                connection.receive(timeout)

    def expect_others_unharmed(self):
        self.msgd.sent["thermo"] += send_udp("127.0.0.1", self.good.port, ["1"])
        self.assertEqual(self.good.payloads(1), ["1"])

    def expect_flat(self):
        wait_until(lambda: n_descriptors(self.msgd.pid) <= self.descriptors, 5,
                   f"{n_descriptors(self.msgd.pid)} descriptors to be {self.descriptors} again")

    def test_garbage_closes_the_connection(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n\0", b"\0", b"[]\0", b"1\0", b'{"method": 5}\0', b'{"no": "method"}\0',
                        os.urandom(300) + b"\0", b'{"method": "io.msgd.List", "parameters": []}\0', b"\xff\xfe\0",
                        b'{"method":"io.msgd.List"} x\0', b"[" * 5000 + b"\0"):
            with self.subTest(garbage[:20]), Connection(self.msgd.socket) as c:
                c.send_bytes(garbage)
                self.expect_closed(c)
                self.expect_others_unharmed()
        self.expect_flat()

    def test_half_a_frame_is_closed_when_its_time_is_over(self):
        with Connection(self.msgd.socket) as c:
            c.send_bytes(b'{"method": "io.msgd.L')
            self.expect_others_unharmed()
            self.expect_closed(c)
        self.assertIn("did not end it in time", self.msgd.program.stderr)

    def test_one_byte_at_a_time_is_closed_when_its_time_is_over(self):
        frame = b'{"method": "io.msgd.GetInfo", "parameters": {}}\0'
        with Connection(self.msgd.socket) as c:
            with self.assertRaises(CLOSED):
                for byte in frame:
                    c.send_bytes(bytes([byte]))
                    time.sleep(0.1)
                c.receive(5)
            self.expect_others_unharmed()

    def test_a_frame_in_pieces_within_its_time_is_answered(self):
        frame = b'{"method": "io.msgd.GetInfo"}\0'
        with Connection(self.msgd.socket) as c:
            for byte in frame:
                c.send_bytes(bytes([byte]))
            self.assertEqual(c.receive()["pid"], self.msgd.pid)

    def test_an_idle_connection_is_nobodys_business(self):
        with Connection(self.msgd.socket) as c:
            c.call("GetInfo")
            time.sleep(1.5)  # longer than a frame may take
            c.call("GetInfo")

    def test_a_frame_over_the_limit_closes_the_connection(self):
        with Connection(self.msgd.socket) as c:
            with self.assertRaises(CLOSED):
                c.send("List", {"names": ["x" * 70000]})
                c.receive()
        self.assertIn("frame_bytes", self.msgd.program.stderr)
        self.expect_flat()

    def test_a_frame_below_the_limit_is_taken(self):
        with Connection(self.msgd.socket) as c:
            c.send("GetInfo", {}, ignored="y" * 60000)
            self.assertEqual(c.receive()["pid"], self.msgd.pid)

    def test_a_connection_that_never_ends_a_frame_costs_no_memory(self):
        before = rss_kib(self.msgd.pid)
        for _ in range(50):
            with Connection(self.msgd.socket) as c:
                try:
                    for _ in range(100):
                        c.send_bytes(b"x" * 65536)
                except OSError:
                    pass
        if not IS_INSTRUMENTED:
            self.assertLess(rss_kib(self.msgd.pid) - before, 2048)
        self.expect_flat()

    def test_300_descriptors_are_closed_on_arrival(self):
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            with Connection(self.msgd.socket) as c:
                try:
                    for part in (150, 150):
                        c.send_descriptors(b" ", [null] * part)
                    c.send("GetInfo")
                    c.receive()
                except CLOSED:
                    pass
                self.expect_others_unharmed()
                for _ in range(5):
                    with Connection(self.msgd.socket) as again:
                        again.send_descriptors(b'{"method": "io.msgd.GetInfo"}\0', [null] * 250)
                        try:
                            again.receive()
                        except CLOSED:
                            pass
            self.expect_flat()
        finally:
            os.close(null)

    def test_clients_that_never_read_are_closed_and_cost_nothing(self):
        self.never_read()
        before = rss_kib(self.msgd.pid)
        for _ in range(5):
            self.never_read()
        if not IS_INSTRUMENTED:
            self.assertLess(rss_kib(self.msgd.pid) - before, 1024)
        self.expect_others_unharmed()
        self.expect_flat()

    def never_read(self):
        with Connection(self.msgd.socket) as c:
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            call = json.dumps({"method": "org.varlink.service.GetInterfaceDescription",
                               "parameters": {"interface": "io.msgd"}}).encode() + b"\0"
            c.socket.settimeout(10)
            with self.assertRaises(CLOSED):
                for _ in range(20000):
                    c.send_bytes(call)
                self.fail("msgd took 20,000 calls of a client that reads nothing")

    def test_a_receive_client_that_reads_slowly_is_held_back_and_never_closed(self):
        slow = self.msgd.receive("slow", mailbox_bytes=64 << 20)
        slow.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = rss_kib(self.msgd.pid)
        for first in range(1, 20001, 2000):
            self.msgd.send("slow", numbered(first, 2000, 200))
            self.msgd.wait_for_ledger("slow", datagrams=first + 1999)
        self.expect_others_unharmed()
        time.sleep(2.5)  # more than twice the time after which a frame's client is closed
        if not IS_INSTRUMENTED:
            self.assertLess(rss_kib(self.msgd.pid) - before, 16 << 10)
        numbers = [json.loads(p)["n"] for p in slow.payloads(20000, 30)]
        self.assertEqual(numbers, list(range(1, 20001)))

    def test_a_client_that_hangs_up_in_the_middle_of_everything_leaves_nothing(self):
        for i in range(200):
            c = Connection(self.msgd.socket)
            c.send("Register", {"name": f"n{i % 7}", "lease_s": 0, "on_conflict": "queue" if i % 2 else "replace"})
            c.send("Attach", {"name": f"n{i % 7}"})
            c.stream("Receive", name=f"m{i % 5}", lease_s=0)
            c.send_bytes(b'{"method": "io.msgd.')
            c.close()
        self.expect_others_unharmed()
        wait_until(lambda: len(self.msgd.call("List")["endpoints"]) == 1, 10, "all but one endpoint to go")
        self.expect_flat()

    def test_many_calls_at_once_are_answered_in_order(self):
        with Connection(self.msgd.socket) as c:
            for i in range(2000):
                c.send("Resolve", {"name": "thermo" if i % 2 else "nobody"})
            for i in range(2000):
                reply = c.receive_frame()
                self.assertEqual("error" in reply, i % 2 == 0)

    def test_a_client_that_shuts_its_sending_side_gets_its_answers(self):
        with Connection(self.msgd.socket) as c:
            c.send("GetInfo")
            c.send("Resolve", {"name": "thermo"})
            c.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(c.receive()["pid"], self.msgd.pid)
            self.assertEqual(c.receive()["name"], "thermo")
            self.expect_closed(c)


main()
