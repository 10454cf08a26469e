# SPDX-License-Identifier: MIT
"""Sessions: what goes through them, and every way to end."""

import json
import os
import select
import socket
import time

from msgd_frame import frame
from msgd_session import Refused, SessionClient, SessionStory
from msgd_test import IS_INSTRUMENTED, LONG, SLOWNESS, main, rss_kib, wait_until

EOT, CAN = b"\x04", b"\x18"


def texts(n, size):
    return [json.dumps({"n": i, "pad": "x" * size}) for i in range(n)]


class Served(SessionStory):
    def opened(self, **parameters):
        """A server, a client, and the id of their session."""
        self.server = self.serve(**parameters)
        client = self.client(self.server).connect()
        self.event(self.server, "open", session=client.session)
        return client


class ServedByReceive(Served):
    """A script: Receive, Accept, Write, Close and nothing else."""

    def test_everything_arrives_once_and_in_order_both_ways(self):
        client = self.opened()
        sent = texts(200, 3000)
        for text in sent:
            client.write(text)
        client.drain()
        self.assertEqual([self.event(self.server, "message")["payload"] for _ in sent], sent)
        with self.msgd.connect() as writer:
            for text in sent:
                writer.send("Write", {"session": client.session, "payload": text})
            self.assertEqual([client.read() for _ in sent], sent)
            for _ in sent:
                writer.receive()

    def test_a_message_of_a_megabyte(self):
        client = self.opened(mailbox_bytes=1 << 20)
        text = json.dumps("y" * 1000000)
        client.write(text)
        client.drain(30)
        self.assertEqual(self.event(self.server, "message")["payload"], text)

    def test_a_message_without_an_end_has_an_end(self):
        """16 MiB is a message, more is too large; what is not whole counts as memory of its owner."""
        msgd = self.start({"limits": {"mailbox_bytes_per_uid": 1 << 20}})
        server = msgd.receive("talk", sessions="auto")
        client = self.client(server).connect()
        client.write_bytes(b'\x1e"' + b"x" * (3 << 20))
        self.assertEqual(client.wait_ended(30), "quota_exceeded")
        self.event(server, "open")
        self.event(server, "close", reason="aborted: quota_exceeded")
        wait_until(lambda: msgd.endpoint("talk")["mailbox"]["used"] == 0, 5, "the memory to be given back")

    def test_white_space_in_a_message_stays_on_its_line(self):
        client = self.opened()
        self.msgd.call("Write", session=client.session, payload='{\n"a": 1\r\n}')
        self.assertEqual(client.read(), '{ "a": 1  }')

    def test_what_is_not_json_ends_the_session(self):
        for bad in (b"\x1e{]\n", b"x", b"\x1e1\n2\n", b"\x1e\xff\n", b"\x1e\n", b"\x1e1\x04\n", b"\x1e1\x1e2\n"):
            with self.subTest(bad=bad):
                client = self.opened()
                client.write("0")
                client.write_bytes(bad)
                self.assertEqual(client.wait_ended(), "invalid_json")
                self.event(self.server, "message", payload="0")
                event = self.server.connection.receive()
                if event["event"] == "message":  # what stood before the fault was whole
                    event = self.server.connection.receive()
                self.assertEqual((event["event"], event["reason"]), ("close", "aborted: invalid_json"))
                self.server.close()
                self.msgd.release("talk")

    def test_write_takes_one_json_text(self):
        client = self.opened()
        for bad in ("", "{", "1 2", "\x1e1"):
            self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "Write",
                                        session=client.session, payload=bad), {"parameter": "payload"})
        self.assertEqual(self.fails("NoSuchSession", self.msgd.call, "Write", session="0" * 32, payload="1"),
                         {"session": "0" * 32})

    def test_oneway_writes_go_on_the_connection_that_receives(self):
        client = self.opened()
        for n in range(10):
            self.server.connection.oneway("Write", session=client.session, payload=str(n))
        self.server.connection.oneway("Close", session=client.session)
        self.assertEqual([client.read() for _ in range(11)], [*map(str, range(10)), None])

    def test_half_closed_the_other_direction_goes_on(self):
        client = self.opened()
        client.finish()
        self.event(self.server, "finish")
        for n in range(5):
            self.msgd.call("Write", session=client.session, payload=str(n))
        self.msgd.call("Close", session=client.session)
        self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "Write",
                                    session=client.session, payload="1"), {"parameter": "session"})
        self.assertEqual([client.read() for _ in range(6)], [*map(str, range(5)), None])
        client.wait_finished()
        self.event(self.server, "close", reason="")

    def test_half_closed_by_the_server_first(self):
        client = self.opened()
        self.msgd.call("Close", session=client.session)
        self.assertIsNone(client.read())
        client.write("1")
        client.drain()
        self.event(self.server, "message", payload="1")
        client.finish()
        client.wait_finished()
        self.event(self.server, "finish")
        self.event(self.server, "close", reason="")
        self.wait_for_count("sessions_finished_total", 1)

    def test_a_write_waits_for_the_client(self):
        client = self.opened()
        text = json.dumps("x" * 100000)
        n_written = 0
        with self.msgd.connect() as writer:
            try:
                while n_written < 100:
                    writer.send("Write", {"session": client.session, "payload": text})
                    writer.receive(0.5 * SLOWNESS)
                    n_written += 1
            except TimeoutError:
                pass
            self.assertLess(n_written, 40, "the client has read nothing")
            if not IS_INSTRUMENTED:
                self.assertLess(rss_kib(self.msgd.pid), 40000)
            for _ in range(n_written):
                self.assertEqual(client.read(20), text)

    def test_a_server_that_does_not_read_holds_back_its_client_alone(self):
        slow = self.msgd.connect()
        slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.stream("Receive", name="slow", sessions="auto")
        self.msgd.wait_for_state("slow", "attached")
        port = self.msgd.endpoint("slow")["port"]
        held = SessionClient(("127.0.0.1", port)).connect()
        self.addCleanup(held.close)
        for text in texts(4000, 1000):
            held.out += b"\x1e" + text.encode() + b"\n"
        deadline = time.monotonic() + 3 * SLOWNESS
        while time.monotonic() < deadline and (held.acked < held.peer_window or held.acked == 0):
            held.turn()
        self.assertLess(held.acked, len(held.out), "it is held back")
        if not IS_INSTRUMENTED:
            self.assertLess(rss_kib(self.msgd.pid), 40000)
        client = self.opened()
        began = time.monotonic()
        for n in range(20):
            client.write(str(n))
            self.event(self.server, "message", payload=str(n))
        self.assertLess(time.monotonic() - began, 2 * SLOWNESS)
        # Read at last, all of it comes.
        for _ in range(4001):
            if select.select([held.socket], [], [], 0)[0] or held.acked < len(held.out):
                held.turn(0)
            slow.receive()

    def test_two_sessions_of_one_receive_do_not_hold_up_each_other(self):
        first = self.opened()
        second = self.client(self.server).connect()
        self.event(self.server, "open", session=second.session)
        for text in texts(100, 2000):
            first.write(text)
        second.write('"now"')
        first.drain()
        second.drain()
        sessions = [self.event(self.server, "message")["session"] for _ in range(101)]
        self.assertEqual(sessions.count(first.session), 100)
        self.assertEqual(sessions.count(second.session), 1)


class Ends(Served):
    def test_the_server_aborts(self):
        client = self.opened()
        self.msgd.call("Close", session=client.session, abort=True, reason="no more of this")
        self.assertEqual(client.wait_ended(), "no more of this")
        self.event(self.server, "close", reason="aborted: no more of this")
        self.fails("NoSuchSession", self.msgd.call, "Close", session=client.session)

    def test_the_client_aborts(self):
        client = self.opened()
        client.write("1")
        client.drain()
        self.event(self.server, "message")
        client.socket.sendto(frame("close", session=client.session, reason="changed my mind"), client.to)
        self.event(self.server, "close", reason="closed by peer: changed my mind")
        self.wait_for_count("sessions_failed_total", 1)

    def test_a_client_that_is_silent_is_dead(self):
        if not LONG:
            self.skipTest("takes half a minute: MSGD_TEST_LONG=1")
        client = self.opened()
        client.close()
        event = self.server.connection.receive(60)
        self.assertEqual((event["event"], event["reason"]), ("close", "idle"))
        self.wait_for_count("sessions", 0)

    def test_the_receive_call_ends(self):
        client = self.opened()
        began = time.monotonic()
        self.server.close()
        self.assertEqual(client.wait_ended(), "server ended")
        self.assertLess(time.monotonic() - began, 2 * SLOWNESS)
        self.wait_for_count("sessions", 0)

    def test_msgd_stops(self):
        for ports in ("own", "single"):
            msgd = self.start()
            server = msgd.receive("talk", sessions="auto", session_ports=ports)
            clients = [self.client(server).connect() for _ in range(20)]
            msgd.stop()
            for client in clients:
                self.assertEqual(client.wait_ended(), "stopped")

    def test_the_endpoint_is_released(self):
        client = self.opened()
        self.msgd.release("talk")
        self.assertEqual(client.wait_ended(), "released")
        self.wait_for_count("sessions", 0)

    def test_the_endpoint_moves(self):
        client = self.opened()
        self.server.connection.close()
        self.assertEqual(client.wait_ended(), "server ended")
        keeper, _ = self.msgd.register("talk")
        listen = self.listening("talk")
        client = self.client(self.server).connect()
        self.event(listen, "open")
        port = self.server.port
        while self.msgd.endpoint("talk")["port"] == port:
            keeper.call("Register", name="talk", port=port + 1 if port < 65535 else port - 1)
        self.assertEqual(client.wait_ended(), "moved")
        self.event(listen, "close", reason="aborted: moved")

    def test_the_lease_ends(self):
        keeper, endpoint = self.msgd.register("talk", sessions="auto", lease_s=0)
        listen = self.listening("talk")
        client = SessionClient(("127.0.0.1", endpoint["port"])).connect()
        self.addCleanup(client.close)
        self.event(listen, "open")
        keeper.close()
        self.assertEqual(client.wait_ended(), "expired")
        self.fails("NoSuchEndpoint", lambda: [listen.receive() for _ in range(2)])

    def test_sessions_that_come_and_go_leave_nothing(self):
        client = self.opened(session_ports="single")
        writer = self.msgd.connect()
        def one():
            client = self.client(self.server).connect()
            client.write("1")
            client.drain()
            writer.call("Close", session=client.session)
            client.finish()
            client.wait_finished()
            for kind in ("open", "message", "finish", "close"):
                self.event(self.server, kind)
            client.close()
        n = 3000 if LONG else 80
        grown = []
        for _ in range(4):
            before = rss_kib(self.msgd.pid)
            for _ in range(n):
                one()
            self.wait_for_count("sessions", 1)
            grown.append(rss_kib(self.msgd.pid) - before)
        # What has ended is remembered for 30 s, in half a kilobyte each. Buffers that are touched for the first
        # time may show in some rounds; what is never given back shows in each.
        if not IS_INSTRUMENTED:
            self.assertLess(min(grown), 256 + n // 2, grown)
        self.assertEqual(self.counted("sessions_finished_total"), 4 * n)
        self.assertTrue(client)

    def test_many_at_once(self):
        n = 1000 if LONG else 200
        server = self.serve()
        clients = [self.client(server).connect() for _ in range(n)]
        for _ in range(n):
            self.event(server, "open")
        self.assertEqual(len(self.msgd.endpoint("talk")["sessions"]), n)
        for client in clients:
            client.write(json.dumps(client.session))
        for client in clients:
            client.drain()
        for _ in range(n):
            event = self.event(server, "message")
            self.assertEqual(event["payload"], json.dumps(event["session"]))
        server.close()
        for client in clients:
            self.assertEqual(client.wait_ended(), "server ended")
        self.wait_for_count("sessions", 0)


class Moves(Served):
    def test_a_client_whose_address_changes_goes_on(self):
        for ports in ("own", "single"):
            with self.subTest(ports=ports):
                client = self.opened(session_ports=ports)
                client.write("1")
                client.drain()
                self.event(self.server, "message", payload="1")
                former = client.socket
                client.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                client.socket.bind(("127.0.0.5", 0))
                client.write("2")
                client.drain()
                self.event(self.server, "message", payload="2")
                self.msgd.call("Write", session=client.session, payload="3")
                self.assertEqual(client.read(), "3")
                there = "127.0.0.5:%d" % client.socket.getsockname()[1]
                wait_until(lambda: self.msgd.endpoint("talk")["sessions"][0]["peer"] == there, 5, "List to know")
                former.close()
                self.server.close()
                client.wait_ended()
                self.msgd.release("talk")


class ServedByStream(SessionStory):
    """What libmsgd does: Listen, Accept with a descriptor."""

    def setUp(self):
        super().setUp()
        self.keeper, endpoint = self.msgd.register("talk", sessions="auto")
        self.port = endpoint["port"]
        self.listen = self.listening("talk")

    def opened(self, mode="auto"):
        """A client and the server's stream."""
        client = SessionClient(("127.0.0.1", self.port))
        self.addCleanup(client.close)
        if mode == "ask":
            client.get_cookie()
            self.assertIsNone(client.answer_to(client.connect_frame(client.cookie), 0.1))
            event = self.event(self.listen, "connect")
        else:
            client.connect()
            event = self.event(self.listen, "open")
        c = self.msgd.connect()
        self.assertEqual(c.call("Accept", session=event["session"], descriptor=True), {"descriptor": 0})
        client.connect() if mode == "ask" else None
        stream = socket.socket(fileno=c.descriptors[0])
        c.close()
        stream.settimeout(10 * SLOWNESS)
        stream.setblocking(True)
        self.addCleanup(stream.close)
        return client, stream

    def read(self, stream, until):
        data = b""
        while not data.endswith(until):
            part = stream.recv(65536)
            self.assertTrue(part, data)
            data += part
        return data

    def test_both_streams_and_their_ends(self):
        client, stream = self.opened()
        client.write('{"n": 1}')
        client.drain()
        self.assertEqual(self.read(stream, b"\n"), b'\x1e{"n": 1}\n')
        stream.sendall(b'\x1e"one"\n\x1e"two"\n' + EOT)
        self.assertEqual([client.read() for _ in range(3)], ['"one"', '"two"', None])
        client.finish()
        self.assertEqual(self.read(stream, EOT), EOT)
        client.wait_finished()
        self.event(self.listen, "close", reason="", session=client.session)
        self.wait_for_count("sessions", 0)

    def test_asked_first(self):
        self.keeper.call("Register", name="talk", sessions="ask")
        client, stream = self.opened("ask")
        self.event(self.listen, "open", session=client.session)
        client.write("1")
        client.drain()
        self.assertEqual(self.read(stream, b"\n"), b"\x1e1\n")

    def test_a_stream_is_handed_over_once(self):
        client, _ = self.opened()
        for parameters, bad in (({"descriptor": True}, "session"), ({}, "descriptor")):
            self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "Accept",
                                        session=client.session, **parameters), {"parameter": bad})
        for method, parameters in (("Write", {"payload": "1"}), ("Close", {}), ("Refuse", {})):
            self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, method,
                                        session=client.session, **parameters), {"parameter": "session"})

    def test_it_outlives_the_listen(self):
        client, stream = self.opened()
        self.listen.close()
        client.write("1")
        client.drain()
        self.assertEqual(self.read(stream, b"\n"), b"\x1e1\n")

    def test_a_server_that_dies_is_told_at_once(self):
        client, stream = self.opened()
        stream.sendall(b'\x1e"half')
        stream.close()
        self.assertEqual(client.wait_ended(), "server ended")
        self.event(self.listen, "close", reason="aborted: server ended")

    def test_a_server_says_why(self):
        client, stream = self.opened()
        stream.sendall(CAN + b"out of order\n")
        stream.close()
        self.assertEqual(client.wait_ended(), "out of order")

    def test_the_server_is_told_why(self):
        client, stream = self.opened()
        client.socket.sendto(frame("close", session=client.session, reason="tired"), client.to)
        self.assertEqual(self.read(stream, b"\n"), CAN + b"closed by peer: tired\n")
        self.assertEqual(stream.recv(1), b"")

    def test_abort_by_call_ends_a_stream(self):
        client, stream = self.opened()
        self.msgd.call("Close", session=client.session, abort=True)
        self.assertEqual(client.wait_ended(), "aborted")
        self.assertEqual(self.read(stream, b"\n"), CAN + b"aborted: aborted\n")

    def test_a_server_may_close_once_it_has_finished(self):
        """As a program does that answers and exits; the client's end comes later."""
        client, stream = self.opened()
        stream.sendall(b"\x1e1\n" + EOT)
        stream.close()
        self.assertEqual([client.read(), client.read()], ["1", None])
        client.finish()
        client.wait_finished()
        self.event(self.listen, "close", reason="")

    def test_bulk_both_ways_at_once(self):
        client, stream = self.opened()
        stream.setblocking(False)
        up = b"".join(b"\x1e" + t.encode() + b"\n" for t in texts(300, 3000))
        down = b"".join(b"\x1e" + t.encode() + b"\n" for t in texts(300, 2990))
        client.out += up
        came, sent, got = b"", 0, 0
        deadline = time.monotonic() + 60 * SLOWNESS
        while len(came) < len(up) or got < 300:
            self.assertLess(time.monotonic(), deadline, (len(came), got))
            client.turn(0.001)
            readable, writable, _ = select.select([stream], [stream] if sent < len(down) else [], [], 0)
            if readable:
                came += stream.recv(262144)
            if writable:
                sent += stream.send(down[sent:sent + 65536])
            while b"\n" in client.inbox:
                client.read()
                got += 1
        self.assertEqual(came, up)

    def test_one_listen_at_a_time_where_it_is_exclusive(self):
        self.assertEqual(self.fails("AlreadyAttached", self.listening, "talk")["pid"], os.getpid())
        self.listen.close()
        self.listening("talk")

    def test_they_take_turns_where_it_is_shared(self):
        self.msgd.register("pool", mode="share", sessions="auto")
        port = self.msgd.endpoint("pool")["port"]
        listens = [self.listening("pool") for _ in range(3)]
        for _ in range(2):
            for listen in listens:
                client = SessionClient(("127.0.0.1", port)).connect()
                self.addCleanup(client.close)
                self.event(listen, "open", session=client.session)

    def test_a_listen_is_preferred(self):
        receive = self.msgd.receive("both", sessions="auto")
        listen = self.listening("both")
        client = SessionClient(("127.0.0.1", receive.port)).connect()
        self.addCleanup(client.close)
        self.event(listen, "open", session=client.session)

    def test_an_offer_ends_with_who_was_asked(self):
        self.keeper.call("Register", name="talk", sessions="ask")
        client = SessionClient(("127.0.0.1", self.port))
        self.addCleanup(client.close)
        client.get_cookie()
        self.assertIsNone(client.answer_to(client.connect_frame(client.cookie), 0.1))
        self.event(self.listen, "connect")
        self.listen.close()
        with self.assertRaisesRegex(Refused, "no_listener"):
            client.connect()


main()
