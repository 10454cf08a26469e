# SPDX-License-Identifier: MIT
"""Sessions: connecting, who may, what is refused."""

import json
import os
import sys

from msgd_frame import frame, parse
from msgd_session import Refused, SessionClient, SessionStory
from msgd_test import (IS_INSTRUMENTED, LONG, NOBODY, SLOWNESS, main, n_descriptors, rss_kib, run, udp_socket,
                       wait_until)


class Connecting(SessionStory):
    def test_auto_accepts_and_both_sides_talk(self):
        server = self.serve()
        client = self.client(server, identity='{"who": "me"}').connect()
        opened = self.event(server, "open", identity='{"who":"me"}', name="talk", port=client.port)
        self.assertEqual(opened["peer"], "127.0.0.1:%d" % client.socket.getsockname()[1])
        self.assertEqual(opened["address"], f"127.0.0.1:{server.port}")
        client.write('{"n": 1}')
        client.write('"two"')
        client.drain()
        self.event(server, "message", payload='{"n": 1}', session=opened["session"])
        self.event(server, "message", payload='"two"')
        self.msgd.call("Write", session=opened["session"], payload="[3]")
        self.assertEqual(client.read(), "[3]")
        client.finish()
        client.turn()
        self.event(server, "finish", session=opened["session"])
        self.msgd.call("Close", session=opened["session"])
        self.assertIsNone(client.read())
        client.wait_finished()
        self.event(server, "close", reason="")
        self.wait_for_count("sessions", 0)

    def test_ask_offers_and_accept_opens(self):
        server = self.serve(sessions="ask")
        client = self.client(server, identity='"me"')
        client.get_cookie()
        self.assertIsNone(client.answer_to(client.connect_frame(client.cookie), 0.2), "nobody has decided")
        offer = self.event(server, "connect", identity='"me"')
        self.assertNotIn("port", offer)
        self.assertEqual(self.msgd.endpoint("talk")["sessions"][0]["state"], "offered")
        self.assertEqual(self.msgd.call("Accept", session=offer["session"]), {"descriptor": None})
        opened = self.event(server, "open", session=offer["session"])
        client.connect()
        self.assertEqual((client.session, client.port), (offer["session"], opened["port"]))
        client.write("1")
        self.event(server, "message", payload="1")

    def test_a_refusal_reaches_the_client(self):
        server = self.serve(sessions="ask")
        client = self.client(server)
        client.get_cookie()
        self.assertIsNone(client.answer_to(client.connect_frame(client.cookie), 0.1))
        offer = self.event(server, "connect", identity=None)
        for bad in ("", "a\"b", "x" * 129, "\n"):
            self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "Refuse",
                                        session=offer["session"], reason=bad), {"parameter": "reason"})
        self.msgd.call("Refuse", session=offer["session"], reason="not today")
        self.event(server, "close", reason="not today")
        for _ in range(2):
            with self.assertRaisesRegex(Refused, "^not today$"):
                client.connect()
        self.fails("NoSuchSession", self.msgd.call, "Accept", session=offer["session"])
        self.assertEqual(self.counted("sessions_refused_total"), 1)

    def test_nobody_listens_and_no_sessions(self):
        self.msgd.register("deaf", sessions="auto")
        self.msgd.register("off")
        for name, reason in (("deaf", "no_listener"), ("off", "no_sessions")):
            client = SessionClient(("127.0.0.1", self.msgd.endpoint(name)["port"]))
            self.addCleanup(client.close)
            with self.assertRaisesRegex(Refused, f"^{reason}$"):
                client.connect()
        self.assertEqual(self.msgd.ledger("off")["protocol"], 1)

    def test_an_offer_that_nobody_decides_is_refused_in_time(self):
        msgd = self.start({"limits": {"accept_timeout_s": 1}})
        server = msgd.receive("talk", sessions="ask")
        client = self.client(server)
        with self.assertRaisesRegex(Refused, "^timeout$"):
            client.connect()
        self.event(server, "connect")
        self.event(server, "close", reason="timeout")

    def test_a_stream_that_nobody_takes_is_ended_in_time(self):
        msgd = self.start({"limits": {"accept_timeout_s": 1}})
        _, endpoint = msgd.register("talk", sessions="auto")
        listen = self.listening("talk", msgd)
        client = SessionClient(("127.0.0.1", endpoint["port"])).connect()
        self.addCleanup(client.close)
        self.event(listen, "open")
        self.assertEqual(client.wait_ended(), "timeout")
        self.event(listen, "close", reason="aborted: timeout")

    def test_quota_and_ports_are_clear_refusals(self):
        for config in ({"limits": {"sessions_per_uid": 2}}, {"session_port_range": [28100, 28101]}):
            msgd = self.start(config)
            server = msgd.receive("talk", sessions="auto")
            clients = [self.client(server).connect() for _ in range(2)]
            with self.assertRaisesRegex(Refused, "^full$"):
                self.client(server).connect()
            opened = self.event(server, "open")
            self.event(server, "open")
            msgd.call("Close", session=opened["session"], abort=True)
            self.assertEqual(clients[0].wait_ended(), "aborted")
            self.event(server, "close", session=opened["session"], reason="aborted: aborted")
            wait_until(lambda m=msgd: len(m.endpoint("talk")["sessions"]) == 1, 5, "the first to be gone")
            self.client(server).connect()
            self.event(server, "open")

    def test_no_descriptor_is_a_clear_refusal(self):
        msgd = self.start(max_descriptors=64)
        server = msgd.receive("talk", sessions="auto")
        reasons = set()
        for _ in range(40):
            try:
                self.client(server).connect()
            except Refused as refused:
                reasons.add(str(refused))
                break
        self.assertEqual(reasons, {"full"})
        server.close()
        wait_until(lambda: n_descriptors(msgd.pid) < 30, 10, "the descriptors to come back")

    def test_the_same_connect_makes_one_session(self):
        server = self.serve()
        client = self.client(server)
        client.connect()
        first = client.session
        for _ in range(3):
            again = client.answer_to(client.connect_frame(client.cookie))
            self.assertEqual((again["type"], again["session"], again["port"]), ("accept", first, client.port))
        self.event(server, "open", session=first)
        self.assertEqual(self.counted("sessions_opened_total"), 1)
        self.msgd.call("Close", session=first, abort=True, reason="enough")
        self.assertEqual(client.wait_ended(), "enough")
        again = client.answer_to(client.connect_frame(client.cookie))
        self.assertEqual((again["type"], again["reason"]), ("refuse", "ended"))
        self.assertEqual(self.counted("sessions_opened_total"), 1)

    def test_a_cookie_is_good_for_its_client_alone(self):
        server = self.serve()
        first, second = self.client(server), self.client(server)
        cookie = first.get_cookie()
        changed = ("0" if cookie[0] != "0" else "1") + cookie[1:]
        for client, tried in ((first, changed), (first, "x"), (second, cookie)):
            answer = client.answer_to(client.connect_frame(tried))
            self.assertEqual(answer["type"], "challenge", answer)
        self.assertEqual(self.counted("cookies_refused_total"), 3)
        self.assertEqual(self.msgd.endpoint("talk")["sessions"], [])
        first.connect()

    def test_a_short_connect_gets_no_answer(self):
        """What msgd sends is never longer than what came."""
        server = self.serve()
        client = self.client(server)
        self.assertIsNone(client.answer_to(client.connect_frame(pad_to=0), 0.2))
        self.assertEqual(client.answer_to(client.connect_frame(pad_to=1200))["type"], "challenge")

    def test_unproven_addresses_leave_nothing(self):
        server = self.serve()
        n = 1000000 if LONG else 20000
        connects = [frame("connect", pad_to=1200, nonce=os.urandom(16).hex(), window=1) for _ in range(64)]
        def send(n):
            with udp_socket() as s:
                for i in range(n):
                    s.sendto(connects[i % 64], ("127.0.0.1", server.port))
                    if i % 128 == 127:
                        wait_until(lambda: self.msgd.ledger("talk")["datagrams"] > 0, 5, "an answer")
        send(1000)
        before = rss_kib(self.msgd.pid)
        send(n)
        if not IS_INSTRUMENTED:
            self.assertLess(rss_kib(self.msgd.pid) - before, 512)
        self.assertEqual(self.msgd.endpoint("talk")["sessions"], [])
        self.client(server).connect()
        self.event(server, "open")

    def test_every_kind_of_address(self):
        for address, to in (("0.0.0.0", "127.0.0.1"), ("::1", "::1"), ("::", "::1"), ("*", "127.0.0.1"), ("*", "::1")):
            for ports in ("own", "single"):
                with self.subTest(address=address, to=to, ports=ports):
                    server = self.serve("a", address=address, session_ports=ports)
                    client = self.client(server, to).connect()
                    opened = self.event(server, "open")
                    self.assertEqual(opened["address"], f"[{to}]:{server.port}" if ":" in to else f"{to}:{server.port}")
                    client.write("1")
                    self.event(server, "message", payload="1")
                    self.msgd.call("Write", session=opened["session"], payload="2")
                    self.assertEqual(client.read(), "2")
                    server.close()
                    self.assertEqual(client.wait_ended(), "server ended")
                    self.msgd.release("a")

    def test_a_wildcard_endpoint_answers_from_the_address_that_was_asked(self):
        server = self.serve(address="0.0.0.0")
        client = self.client(server, "127.0.0.9")
        client.socket.connect(("127.0.0.9", server.port))
        client.socket.send(client.connect_frame())
        header, _ = parse(client.socket.recv(65536))
        self.assertEqual(header["type"], "challenge")


class Shown(SessionStory):
    def test_msgls_shows_sessions(self):
        server = self.serve()
        client = self.client(server, identity='{"who": "me"}').connect()
        row = json.loads(self.msgd.tool("msgls", "--json", "talk").stdout)[0]
        self.assertEqual((row["sessions_mode"], row["session_ports"], len(row["sessions"])), ("auto", "own", 1))
        shown = row["sessions"][0]
        self.assertEqual(set(shown), {"id", "peer", "identity", "port", "age_s", "in_flight", "retransmitted", "state"})
        self.assertEqual((shown["id"], shown["port"], shown["state"]), (client.session, client.port, "open"))
        text = self.msgd.tool("msgls", "talk").stdout
        self.assertIn("SESSION WITH", text)
        self.assertIn(str(client.port), text)
        self.assertIn("sessions auto, session_ports own", text)

    def test_metrics_and_get_info_count_them(self):
        server = self.serve()
        self.client(server).connect()
        self.event(server, "open")
        self.assertEqual(self.msgd.call("GetInfo")["sessions"], 1)
        for name in ("sessions", "connects_repeated_total", "sessions_opened_total", "session_datagrams_sent_total"):
            self.counted(name)
        self.assertEqual(self.counted("challenges_total"), 1)
        self.assertGreaterEqual(self.counted("connects_total"), 2)

    def test_a_list_with_more_tells_of_each(self):
        server = self.serve()
        watch = self.msgd.connect().stream("List", names=["talk"])
        self.assertEqual(watch.receive()["endpoints"][0]["sessions"], [])
        client = self.client(server).connect()
        wait_until(lambda: [s["id"] for s in watch.receive()["endpoints"][0]["sessions"]] == [client.session], 5, "the row")


class OnePort(SessionStory):
    def test_everything_goes_through_the_endpoints_own_port(self):
        server = self.serve(session_ports="single")
        client = self.client(server).connect()
        self.assertIsNone(client.port)
        self.event(server, "open", port=None)
        texts = [json.dumps({"n": n, "pad": "x" * 3000}) for n in range(50)]
        for text in texts:
            client.write(text)
        client.drain()
        for text in texts:
            self.event(server, "message", payload=text)
        for text in texts:
            self.msgd.call("Write", session=client.session, payload=text)
        for text in texts:
            self.assertEqual(client.read(), text)
        ledger = self.msgd.ledger("talk")
        self.assertEqual((ledger["protocol"], ledger["delivered"]), (ledger["received"], 0))

    def test_plain_messages_go_on_beside_it(self):
        server = self.serve(session_ports="single")
        client = self.client(server).connect()
        self.event(server, "open")
        self.msgd.send("talk", ["1"])
        self.assertNotIn("session", message := server.take(1)[0])
        self.assertEqual(message["payload"], "1")
        client.write("2")
        self.event(server, "message", payload="2")
        self.msgd.sent.clear()


class Strangers(SessionStory):
    def close_of(self, client, datagram, to):
        client.socket.sendto(datagram, to)
        client.socket.settimeout(0.3 * SLOWNESS)
        try:
            return parse(client.socket.recv(65536))[0]
        except TimeoutError:
            return None

    def test_an_unknown_session_is_told_once_and_shortly(self):
        server = self.serve()
        client = self.client(server).connect()
        data = frame("data", b"x" * 200, session="0" * 32, n=1, ack=0, window=1, offset=0)
        for to in (("127.0.0.1", server.port), client.to):
            header = self.close_of(client, data, to)
            self.assertEqual((header["type"], header["reason"], header["session"]), ("close", "unknown", "0" * 32))
        self.assertIsNone(self.close_of(client, frame("close", session="0" * 32, reason="x"), client.to))
        self.assertEqual(self.counted("sessions_unknown_total"), 3)

    def test_a_session_at_anothers_port_is_dropped(self):
        server = self.serve()
        first, second = self.client(server).connect(), self.client(server).connect()
        data = frame("data", b"x" * 200, session=first.session, n=1, ack=0, window=1, offset=0)
        for to in (("127.0.0.1", server.port), second.to):
            self.assertIsNone(self.close_of(first, data, to))
        self.assertEqual(self.counted("sessions_misplaced_total"), 2)

    def test_nonsense_at_a_sessions_port_changes_nothing(self):
        server = self.serve()
        client = self.client(server).connect()
        self.event(server, "open")
        with udp_socket() as s:
            for nonsense in (b"", b"x", b"\x1e", b"\x1e{}\n", os.urandom(2000), frame("ping"), b'{"temp": 21.5}',
                             frame("data", b"x", session=client.session, n=1, ack=1 << 60, window=1, offset=1 << 60)):
                s.sendto(nonsense, client.to)
        client.write("1")
        self.event(server, "message", payload="1")

    def test_others_may_neither_see_nor_touch_a_session(self):
        self.need_root()
        server = self.serve()
        client = self.client(server, identity='"secret"').connect()
        opened = self.event(server, "open")
        row = json.loads(self.msgd.tool("msgls", "--json", "talk", uid=NOBODY).stdout)[0]
        self.assertIsNone(row["sessions"])
        for method, parameters in (("Accept", {}), ("Refuse", {}), ("Write", {"payload": "1"}), ("Close", {})):
            self.assertIn("NotPermitted", call_as(NOBODY, self.msgd, method, session=opened["session"], **parameters))
        client.write("1")
        self.event(server, "message")


def call_as(uid, msgd, method, **parameters):
    """What a call of another uid answers, as text."""
    code = (f"import sys; sys.path.insert(0, {os.environ['PYTHONPATH'].split(':')[0]!r})\n"
            "from msgd_varlink import Connection, VarlinkError\n"
            f"try: print(Connection({msgd.socket!r}).call({method!r}, **{parameters!r}))\n"
            "except VarlinkError as e: print(e)\n")
    return run(["/usr/bin/python3", "-B", "-c", code], uid=uid).stdout


main()
