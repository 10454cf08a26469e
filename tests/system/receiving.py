# SPDX-License-Identifier: MIT
"""Receive, Ack, Reply, Tap and List with `more`: a consumer with nothing but the published protocol."""

import json

from msgd_test import Connection, Story, main, numbered, send_udp, udp_socket, wait_until

ODD = ['{"a": "ä€😀"}', '"\\u0000"', "1e999", '{"a":1,"a":2}', ' [1 , 2 ]\n', '"\\ud800"', '"\x7f"', '"/\\/"']


class Receiving(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def test_receive_registers_a_name_that_is_not_there(self):
        consumer = self.msgd.receive("thermo", lease_s=7)
        self.assertEqual(self.msgd.endpoint("thermo")["lease_s"], 7)
        self.msgd.send("thermo", ["1"])
        self.assertEqual(consumer.payloads(1), ["1"])

    def test_receive_takes_an_endpoint_that_the_same_connection_registered(self):
        connection, reply = self.msgd.register("thermo")
        connection.stream("Receive", name="thermo")
        self.msgd.sent["thermo"] += send_udp("127.0.0.1", reply["port"], ["1"])
        message = connection.receive()
        self.assertEqual((message["payload"], message["generation"]), ("1", reply["generation"]))

    def test_payloads_arrive_byte_for_byte(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.send("thermo", [text.encode() for text in ODD])
        self.assertEqual(consumer.payloads(len(ODD)), ODD)

    def test_without_more_it_is_expected_more(self):
        for method in ("Receive", "Tap"):
            self.msgd.register(method.lower())
            with self.subTest(method):
                self.fails("org.varlink.service.ExpectedMore", self.msgd.call, method, name=method.lower())

    def test_each_reply_continues(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.send("thermo", ["1", "2"])
        self.assertEqual([consumer.connection.receive_frame()["continues"] for _ in range(2)], [True, True])

    def test_auto_releases_what_was_written(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.send("thermo", numbered(1, 300))
        consumer.take(300)
        self.msgd.wait_for_ledger("thermo", delivered=300, queued=0)

    def test_manual_releases_up_to_the_number_acknowledged(self):
        consumer = self.msgd.receive("thermo", ack="manual", window=100)
        self.msgd.send("thermo", numbered(1, 50))
        messages = consumer.take(50)
        self.msgd.wait_for_ledger("thermo", delivered=0, queued=50)
        consumer.ack(messages[9])
        self.msgd.wait_for_ledger("thermo", delivered=10, queued=40)
        consumer.ack(messages[4])
        consumer.ack(messages[49])
        self.msgd.wait_for_ledger("thermo", delivered=50, queued=0)

    def test_the_window_holds_back_what_is_not_acknowledged(self):
        consumer = self.msgd.receive("thermo", ack="manual", window=3)
        self.msgd.send("thermo", numbered(1, 10))
        messages = consumer.take(3)
        self.assertRaises(TimeoutError, consumer.connection.receive, 0.3)
        consumer.ack(messages[0])
        self.assertEqual(consumer.take(1)[0]["seq"], 4)

    def test_windows_out_of_range_are_refused(self):
        for window in (0, -1, 65537, "3"):
            with Connection(self.msgd.socket) as c:
                self.assertEqual(self.fails("org.varlink.service.InvalidParameter", c.stream("Receive", name="thermo",
                                 ack="manual", window=window).receive)["parameter"], "window")

    def test_ack_comes_from_another_connection_too(self):
        consumer = self.msgd.receive("thermo", ack="manual")
        self.msgd.send("thermo", numbered(1, 5))
        last = consumer.take(5)[-1]
        self.assertEqual(self.msgd.call("Ack", name="thermo", generation=last["generation"], seq=last["seq"]), {})
        self.msgd.wait_for_ledger("thermo", delivered=5)

    def test_an_ack_beyond_what_was_handed_over_releases_what_was(self):
        consumer = self.msgd.receive("thermo", ack="manual", window=4)
        self.msgd.send("thermo", numbered(1, 10))
        first = consumer.take(4)[0]
        self.msgd.call("Ack", name="thermo", generation=first["generation"], seq=1000)
        self.msgd.wait_for_ledger("thermo", delivered=4, queued=6)

    def test_an_ack_of_another_generation_releases_nothing(self):
        consumer = self.msgd.receive("thermo", ack="manual")
        self.msgd.send("thermo", ["1"])
        message = consumer.take(1)[0]
        self.assertEqual(self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "Ack", name="thermo",
                                    generation=message["generation"] + 1, seq=1)["parameter"], "generation")
        self.assertEqual(self.msgd.ledger("thermo")["delivered"], 0)

    def test_replies_are_taken_oneway_on_the_receiving_connection(self):
        consumer = self.msgd.receive("echo", ack="manual")
        with udp_socket() as s:
            for n in range(10):
                s.sendto(b"%d" % n, ("127.0.0.1", consumer.port))
                self.msgd.sent["echo"] += 1
                message = consumer.take(1)[0]
                consumer.reply(message, str(n * n))
                consumer.ack(message)
                self.assertEqual(s.recv(100), b"%d" % (n * n))

    def test_a_oneway_call_gets_no_answer_not_even_an_error(self):
        with Connection(self.msgd.socket) as c:
            c.oneway("Ack", name="nobody", generation=1, seq=1)
            c.oneway("NoSuchMethod")
            self.assertEqual(c.call("GetInfo")["pid"], self.msgd.pid)

    def test_the_call_ends_when_the_endpoint_is_released(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.release("thermo")
        self.fails("NoSuchEndpoint", consumer.connection.receive)

    def test_the_call_ends_when_the_consumer_is_replaced(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.receive("other")
        self.msgd.connect().call("Register", name="thermo", on_conflict="replace")
        self.fails("NameTaken", consumer.connection.receive)

    def test_one_connection_receives_from_two_calls_in_turn_only(self):
        """A later call's replies wait for the earlier call, which does not end: that is Varlink."""
        consumer = self.msgd.receive("thermo")
        consumer.connection.send("GetInfo")
        self.assertRaises(TimeoutError, consumer.connection.receive, 0.3)
        self.msgd.send("thermo", ["1"])
        self.assertEqual(consumer.connection.receive(10)["payload"], "1")

    def test_ten_thousand_messages_come_in_order(self):
        consumer = self.msgd.receive("thermo", mailbox_bytes=16 << 20)
        for first in range(1, 10001, 1000):
            self.msgd.send("thermo", numbered(first, 1000))
        numbers = [json.loads(p)["n"] for p in consumer.payloads(10000, 30)]
        self.assertEqual(numbers, list(range(1, 10001)))


class Tapping(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def tap(self, name):
        return self.msgd.connect().stream("Tap", name=name)

    def test_a_tap_gets_copies_and_takes_none(self):
        consumer = self.msgd.receive("thermo")
        taps = [self.tap("thermo") for _ in range(2)]
        self.settle()
        self.msgd.send("thermo", numbered(1, 20))
        wanted = consumer.payloads(20)
        for t in taps:
            got = [t.receive(10) for _ in range(20)]
            self.assertEqual([m["payload"] for m in got], wanted)
            self.assertEqual(got[-1]["missed"], 0)
        self.msgd.wait_for_ledger("thermo", received=20, delivered=20)

    def settle(self):
        """Calls that were sent on other connections have been begun."""
        for _ in range(3):
            self.msgd.call("GetInfo")
            self.msgd.call("List")

    def test_a_tap_that_does_not_read_misses_and_slows_nothing(self):
        consumer = self.msgd.receive("thermo", mailbox_bytes=64 << 20)
        tap = self.tap("thermo")
        self.settle()
        for first in range(1, 50001, 1000):
            self.msgd.send("thermo", numbered(first, 1000, 500))
            consumer.take(1000)
        self.msgd.wait_for_ledger("thermo", delivered=50000)
        last = None
        seen = 0
        while last is None or last["seq"] < 50000:
            try:
                last = tap.receive(2)
            except TimeoutError:
                break
            seen += 1
        self.assertGreater(last["missed"], 0)
        self.msgd.send("thermo", ["1"])
        final = tap.receive(10)
        self.assertEqual((final["seq"], final["missed"] + seen), (50001, 50000))

    def test_a_tap_ends_with_its_endpoint(self):
        self.msgd.register("thermo")
        tap = self.tap("thermo")
        self.settle()
        self.msgd.release("thermo")
        self.fails("NoSuchEndpoint", tap.receive)

    def test_a_tap_of_nothing_is_no_such_endpoint(self):
        self.fails("NoSuchEndpoint", self.tap("nobody").receive)


class Watching(Story):
    def test_list_with_more_tells_each_change(self):
        msgd = self.start()
        msgd.register("first")
        watch = msgd.connect().stream("List")
        now = watch.receive()
        self.assertEqual([e["name"] for e in now["endpoints"]], ["first"])
        msgd.register("second")
        self.assertEqual([e["name"] for e in watch.receive(5)["endpoints"]], ["second"])
        msgd.connections[-1].close()
        wait_until(lambda: watch.receive(5)["endpoints"][0]["state"] == "away", 5, "second to be away")
        msgd.release("first")
        seen = []
        wait_until(lambda: seen.extend(watch.receive(5)["removed"]) or "first" in seen, 5, "the end of first")

    def test_list_leaves_out_a_name_that_is_not_there(self):
        msgd = self.start()
        msgd.register("thermo")
        self.assertEqual(msgd.call("List", names=["nobody"]), {"endpoints": [], "removed": []})
        self.assertEqual([e["name"] for e in msgd.call("List", names=["nobody", "thermo"])["endpoints"]], ["thermo"])

    def test_the_top_sources_are_named(self):
        msgd = self.start()
        port = msgd.register("thermo")[1]["port"]
        for host, n in ((7, 30), (8, 20), (9, 10)):
            msgd.sent["thermo"] += send_udp("127.0.0.1", port, ["1"] * n, source=f"127.0.0.{host}")
        msgd.wait_for_ledger("thermo", received=60)
        sources = msgd.endpoint("thermo")["sources"]
        self.assertEqual([(s["address"], s["messages"], s["error"]) for s in sources],
                         [("127.0.0.7", 30, 0), ("127.0.0.8", 20, 0), ("127.0.0.9", 10, 0)])

    def test_many_sources_stay_a_bounded_table_with_its_error_said(self):
        msgd = self.start()
        port = msgd.register("thermo")[1]["port"]
        for host in range(1, 251):
            msgd.sent["thermo"] += send_udp("127.0.0.1", port, ["1"] * (50 if host == 77 else 1), source=f"127.0.1.{host}")
        msgd.wait_for_ledger("thermo", received=299)
        sources = msgd.endpoint("thermo")["sources"]
        self.assertLessEqual(len(sources), 16)
        top = sources[0]
        self.assertEqual(top["address"], "127.0.1.77")
        self.assertTrue(50 <= top["messages"] <= 50 + top["error"], top)


main()
