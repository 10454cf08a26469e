# SPDX-License-Identifier: MIT
"""Answers to plain datagrams: from the address asked, at most one each, and never so that two services talk for ever."""

import json
import os
import signal
import socket
import subprocess
import time

from msgd_test import Story, build_path, free_port, main, process_state, udp_socket, wait_until

SO_RCVBUFFORCE = 33
INVALID = "org.varlink.service.InvalidParameter"


class Replies(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()
        self.sender = udp_socket()
        self.addCleanup(self.sender.close)

    def ask(self, consumer, text=b'"ping"'):
        """Sends one datagram and gives the consumer's message."""
        self.sender.sendto(text, ("127.0.0.1", consumer.port))
        self.msgd.sent[consumer.name] += 1
        return consumer.take(1)[0]

    def call_reply(self, message, **payload):
        return self.msgd.call("Reply", name=message["name"], generation=message["generation"], seq=message["seq"], **payload)

    def test_a_reply_reaches_the_sender_from_the_port_asked(self):
        consumer = self.msgd.receive("echo", ack="manual")
        self.call_reply(self.ask(consumer), payload='"pong"')
        self.assertEqual(self.sender.recvfrom(100), (b'"pong"', ("127.0.0.1", consumer.port)))

    def test_a_reply_over_ipv6_reaches_the_sender(self):
        consumer = self.msgd.receive("echo", address="::1", ack="manual")
        with udp_socket("::1") as s:
            s.sendto(b"1", ("::1", consumer.port))
            self.msgd.sent["echo"] += 1
            self.call_reply(consumer.take(1)[0], payload="2")
            data, source = s.recvfrom(100)
            self.assertEqual((data, source[:2]), (b"2", ("::1", consumer.port)))

    def test_a_reply_may_be_any_bytes(self):
        consumer = self.msgd.receive("echo", ack="manual")
        self.call_reply(self.ask(consumer), payload_base64="AP8=")
        self.assertEqual(self.sender.recv(100), b"\0\xff")

    def test_a_second_reply_to_the_same_message_is_refused(self):
        consumer = self.msgd.receive("echo", ack="manual")
        message = self.ask(consumer)
        self.call_reply(message, payload="1")
        self.assertEqual(self.sender.recv(100), b"1")
        self.assertEqual(self.fails(INVALID, self.call_reply, message, payload="2")["parameter"], "seq")

    def test_a_released_message_can_be_answered_for_some_time(self):
        consumer = self.msgd.receive("echo", ack="manual")
        message = self.ask(consumer)
        consumer.ack(message)
        self.msgd.wait_for_ledger("echo", delivered=1)
        self.call_reply(message, payload="1")
        self.assertEqual(self.sender.recv(100), b"1")

    def test_a_message_that_was_never_handed_over_cannot_be_answered(self):
        message = self.ask(self.msgd.receive("echo", ack="manual"))
        message["seq"] += 1
        self.assertEqual(self.fails(INVALID, self.call_reply, message, payload="1")["parameter"], "seq")

    def test_under_auto_the_last_messages_can_be_answered(self):
        consumer = self.msgd.receive("echo")
        message = self.ask(consumer)
        self.msgd.wait_for_ledger("echo", delivered=1)
        consumer.reply(message, '"pong"')
        self.assertEqual(self.sender.recv(100), b'"pong"')

    def test_a_message_of_another_generation_is_answered_no_more(self):
        consumer = self.msgd.receive("echo", ack="manual")
        message = self.ask(consumer)
        message["generation"] += 1
        self.assertEqual(self.fails(INVALID, self.call_reply, message, payload="1")["parameter"], "generation")

    def test_one_payload_and_only_one_is_wanted(self):
        consumer = self.msgd.receive("echo", ack="manual")
        message = self.ask(consumer)
        for payload in ({}, {"payload": "1", "payload_base64": "MQ=="}, {"payload_base64": "?"}):
            self.fails(INVALID, self.call_reply, message, **payload)

    def test_a_reply_longer_than_a_datagram_is_too_large(self):
        consumer = self.msgd.receive("echo", ack="manual")
        self.fails("TooLarge", self.call_reply, self.ask(consumer), payload="x" * 65508)

    def test_two_services_never_talk_to_each_other_for_ever(self):
        """A message that seems to come from an endpoint of this msgd gets no answer."""
        consumer = self.msgd.receive("echo", ack="manual")
        other = self.msgd.receive("other", ack="manual")
        self.msgd.call("Send", name="other", to=f"127.0.0.1:{consumer.port}", payload='"ping"')
        self.msgd.sent["echo"] += 1
        message = consumer.take(1)[0]
        self.assertEqual(message["from"], f"127.0.0.1:{other.port}")
        self.fails("NotPermitted", self.call_reply, message, payload='"pong"')
        self.assertEqual(self.msgd.ledger("other")["datagrams"], 0)

    def test_two_services_on_libmsgd_stay_quiet_too(self):
        for name in ("ping", "pong"):
            self.msgd.spawn("msgrecv", name, "--exec", "cat").wait_for_stderr(f"{name} at")
        self.msgd.call("Send", name="ping", to=f"127.0.0.1:{self.msgd.endpoint('pong')['port']}", payload='"ball"')
        self.msgd.sent["pong"] += 1
        self.msgd.wait_for_ledger("pong", delivered=1)
        time.sleep(0.3)  # an answer that must not come
        self.assertEqual((self.msgd.ledger("ping")["datagrams"], self.msgd.ledger("pong")["datagrams"]), (0, 1))

    def test_answers_from_a_wildcard_endpoint_are_limited_per_source(self):
        msgd = self.start({"limits": {"replies_per_source": 5}})
        consumer = msgd.receive("echo", address="0.0.0.0", ack="manual")
        outcomes = []
        for _ in range(20):
            self.sender.sendto(b"1", ("127.0.0.1", consumer.port))
            msgd.sent["echo"] += 1
            message = consumer.take(1)[0]
            try:
                msgd.call("Reply", name="echo", generation=1, seq=message["seq"], payload="1")
                outcomes.append("sent")
            except Exception as error:  # compared below
                outcomes.append(error.name)
        self.assertEqual(set(outcomes), {"sent", "TryAgain"})
        self.assertLess(outcomes.count("sent"), 15)

    def test_answers_from_loopback_endpoints_are_not_limited(self):
        msgd = self.start({"limits": {"replies_per_source": 5}})
        consumer = msgd.receive("echo", ack="manual", window=100)
        for n in range(50):
            self.sender.sendto(b"%d" % n, ("127.0.0.1", consumer.port))
            msgd.sent["echo"] += 1
            consumer.reply(consumer.take(1)[0], str(n))
            self.assertEqual(self.sender.recv(100), b"%d" % n)

    def test_an_attached_consumer_answers_from_its_ring(self):
        service = self.msgd.spawn("msgrecv", "shout", "--exec", "tr a-z A-Z")
        service.wait_for_stderr("shout at")
        port = self.msgd.endpoint("shout")["port"]
        for n in range(20):
            self.sender.sendto(json.dumps({"n": n, "say": "hello"}).encode(), ("127.0.0.1", port))
            self.msgd.sent["shout"] += 1
            data, source = self.sender.recvfrom(1000)
            self.assertEqual((json.loads(data), source), ({"N": n, "SAY": "HELLO"}, ("127.0.0.1", port)))

    def test_no_answer_is_refused_because_its_message_was_released_meanwhile(self):
        """A service that answers and releases while the next ones come: msgd reads the answers first."""
        port = free_port()
        service = self.program([build_path("example_echo_service"), str(port)], stdin=subprocess.PIPE,
                               env={**os.environ, "MSGD_SOCKET": self.msgd.socket})
        service.wait_for_stderr("press Enter")
        for _ in range(10000):
            self.sender.sendto(b"1", ("127.0.0.1", port))
        self.msgd.sent["echo"] += 10000
        wait_until(lambda: (seen := self.msgd.ledger("echo"))["received"] + seen["kernel_dropped"] == 10000 and seen["queued"] == 0,
                   20, "everything to be answered")
        self.assertIn("\nmsgd_replies_refused_total 0\n", self.msgd.call("Metrics")["text"])

    def test_the_last_answers_of_a_service_that_has_ended_are_sent(self):
        """It answers, releases and ends while msgd does not look."""
        self.need_root()  # for a buffer that holds all of them
        n, port = 3000, free_port()
        service = self.program([build_path("example_echo_service"), str(port)], stdin=subprocess.PIPE,
                               env={**os.environ, "MSGD_SOCKET": self.msgd.socket})
        service.wait_for_stderr("press Enter")
        service.send_signal(signal.SIGSTOP)
        self.sender.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        for i in range(n):
            self.sender.sendto(b"%d" % i, ("127.0.0.1", port))
            if i % 100 == 99:
                self.msgd.wait_for_ledger("echo", received=i + 1)
        self.msgd.sent["echo"] += n
        self.msgd.program.send_signal(signal.SIGSTOP)
        service.send_signal(signal.SIGCONT)
        wait_until(lambda: process_state(service.pid) == "S", 10, "all to be answered")
        service.process.stdin.write(b"\n")
        service.process.stdin.flush()
        self.assertEqual(service.wait(), 0, service.stderr)
        self.msgd.program.send_signal(signal.SIGCONT)
        self.assertEqual([int(self.sender.recv(100)) for _ in range(n)], list(range(n)))


main()
