# SPDX-License-Identifier: MIT
"""Requests: whoever asks gets the consumer's reply, once, however often the question has to be asked."""

import random

from msgd_frame import frame, parse
from msgd_test import Story, main, udp_socket

INVALID = "org.varlink.service.InvalidParameter"


class Client:
    """Asks one endpoint."""

    def __init__(self, msgd, name, address="127.0.0.1"):
        self.msgd, self.name = msgd, name
        self.socket = udp_socket("127.0.0.1" if "." in address else address)
        self.to = (address, msgd.endpoint(name)["port"])
        self.source = f"{random.getrandbits(64):016x}"

    def id(self, number):
        return number if isinstance(number, str) else f"{self.source}.{number}"

    def ask(self, number, body=b'"ping"', kind="request", **members):
        self.socket.sendto(frame(kind, body, pad_to=160, id=self.id(number), **members), self.to)
        self.msgd.sent[self.name] += 1

    def answer(self):
        datagram, source = self.socket.recvfrom(65536)
        assert source[:2] == self.to, f"an answer from {source}, not {self.to}"
        header, body = parse(datagram)
        header.pop("crc")
        return header, body

    def expect(self, number, body):
        wanted = {"type": "reply", "id": self.id(number)}, body
        assert (got := self.answer()) == wanted, f"{got}, not {wanted}"

    def acknowledged(self, number, ack):
        wanted = {"type": "ack", "id": self.id(number), "ack": ack}, b""
        assert (got := self.answer()) == wanted, f"{got}, not {wanted}"


class Requests(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def client(self, name, msgd=None, **options):
        client = Client(msgd or self.msgd, name, **options)
        self.addCleanup(client.socket.close)
        return client

    def reply(self, message, payload, **more):
        return self.msgd.call("Reply", name=message["name"], generation=message["generation"], seq=message["seq"], payload=payload,
                              **more)

    def service(self, name, *arguments):
        service = self.msgd.spawn("msgrecv", name, *arguments)
        service.wait_for_stderr(f"{name} at")
        return service

    def test_a_request_gets_the_reply_of_its_consumer(self):
        consumer = self.msgd.receive("oracle", ack="manual")
        client = self.client("oracle")
        for number in (1, 2, "a-text"):
            client.ask(number)
            message = consumer.take(1)[0]
            self.assertEqual((message["type"], message["id"], message["payload"]), ("request", client.id(number), '"ping"'))
            self.reply(message, '"pong"')
            client.expect(number, b'"pong"')
            consumer.ack(message)
        self.msgd.wait_for_ledger("oracle", delivered=3, protocol=0)

    def test_an_attached_consumer_answers_requests_and_plain_datagrams_each_in_their_way(self):
        self.service("shout", "--exec", "tr a-z A-Z")
        client = self.client("shout")
        for number in range(1, 20):
            client.ask(number, b'"n%d"' % number)
            client.expect(number, b'"N%d"' % number)
            client.socket.sendto(b'"plain"', client.to)
            self.msgd.sent["shout"] += 1
            self.assertEqual(client.socket.recv(100), b'"PLAIN"')
            client.ask(1000 + number, b'"send"', kind="send", ack="stored")
            self.assertEqual({client.socket.recv(200)[:1] for _ in range(2)}, {b"\x1e", b'"'})
        self.msgd.wait_for_ledger("shout", delivered=57, duplicate=0)
        self.assertIn("\nmsgd_replies_refused_total 0\n", self.msgd.call("Metrics")["text"])

    def test_a_command_knows_what_it_is_asked(self):
        self.service("echo", "--exec", 'printf "[\\"%s\\",\\"%s\\"]" "$MSGD_TYPE" "$MSGD_ID"')
        client = self.client("echo")
        client.ask("job-7")
        client.expect("job-7", b'["request","job-7"]')
        client.socket.sendto(b"1", client.to)
        self.msgd.sent["echo"] += 1
        self.assertEqual(client.socket.recv(100), b'["plain",""]')

    def test_a_request_that_comes_again_is_not_asked_again(self):
        consumer = self.msgd.receive("oracle", ack="manual")
        client = self.client("oracle")
        client.ask(1)
        message = consumer.take(1)[0]
        client.ask(1)
        client.acknowledged(1, "stored")
        self.reply(message, '"pong"')
        client.expect(1, b'"pong"')
        for _ in range(3):
            client.ask(1)
            client.expect(1, b'"pong"')
        consumer.ack(message)
        self.msgd.wait_for_ledger("oracle", delivered=1)
        client.ask(1)
        client.expect(1, b'"pong"')
        self.msgd.wait_for_ledger("oracle", received=6, delivered=1, duplicate=5)

    def test_without_a_cache_a_request_that_comes_again_is_acknowledged(self):
        msgd = self.start({"limits": {"reply_cache_bytes": 0}})
        consumer = msgd.receive("oracle")
        client = self.client("oracle", msgd)
        client.ask(1)
        consumer.reply(consumer.take(1)[0], "1")
        client.expect(1, b"1")
        client.ask(1)
        client.acknowledged(1, "stored")

    def test_the_cache_keeps_the_latest_replies(self):
        msgd = self.start({"limits": {"reply_cache_bytes": 4096}})
        consumer = msgd.receive("oracle")
        client = self.client("oracle", msgd)
        for number in range(1, 101):
            client.ask(number)
            consumer.reply(consumer.take(1)[0], str(number))
            client.expect(number, b"%d" % number)
        client.ask(100)
        client.expect(100, b"100")
        client.ask(1)
        client.acknowledged(1, "stored")

    def test_a_request_that_is_released_without_a_reply_is_over(self):
        self.service("silent")
        client = self.client("silent")
        client.ask(1)
        client.acknowledged(1, "released")
        client.ask(1)
        client.acknowledged(1, "released")
        self.msgd.wait_for_ledger("silent", delivered=1, duplicate=1)

    def test_a_request_can_be_answered_after_its_release(self):
        consumer = self.msgd.receive("oracle", ack="manual")
        client = self.client("oracle")
        client.ask(1)
        message = consumer.take(1)[0]
        consumer.ack(message)
        self.msgd.wait_for_ledger("oracle", delivered=1)
        self.reply(message, "2")
        client.expect(1, b"2")

    def test_a_second_reply_is_refused(self):
        consumer = self.msgd.receive("oracle", ack="manual")
        client = self.client("oracle")
        client.ask(1)
        message = consumer.take(1)[0]
        self.reply(message, "1")
        self.assertEqual(self.fails(INVALID, self.reply, message, "2")["parameter"], "seq")

    def test_a_reply_that_fits_in_no_datagram_is_too_large(self):
        consumer = self.msgd.receive("oracle", ack="manual")
        client = self.client("oracle")
        client.ask(1)
        message = consumer.take(1)[0]
        self.fails("TooLarge", self.reply, message, '"%s"' % ("x" * 65480))
        text = '"%s"' % ("x" * 65400)
        self.reply(message, text)
        client.expect(1, text.encode())

    def test_an_endpoint_may_ask_another_and_a_reply_is_never_answered(self):
        asker = self.msgd.receive("asker", ack="manual")
        oracle = self.msgd.receive("oracle", ack="manual")
        question = frame("request", b"1", pad_to=160, id="q1").decode()
        self.msgd.call("Send", name="asker", to=f"127.0.0.1:{oracle.port}", payload=question)
        self.reply(oracle.take(1)[0], "2")
        reply = asker.take(1)[0]
        self.assertEqual((reply["type"], reply["id"], reply["payload"]), ("reply", "q1", "2"))
        self.fails("NotPermitted", self.reply, reply, "3")
        self.msgd.sent["oracle"] += 1
        self.msgd.sent["asker"] += 1
        self.msgd.wait_for_ledger("asker", queued=1, protocol=0)

    def test_two_services_that_answer_everything_fall_silent(self):
        """A question that seems to come from the other service: one reply, which gets none."""
        for name in ("ping", "pong"):
            self.service(name, "--exec", "cat")
        question = frame("request", b'"ball"', pad_to=160, id="q1").decode()
        self.msgd.call("Send", name="ping", to=f"127.0.0.1:{self.msgd.endpoint('pong')['port']}", payload=question)
        self.msgd.wait_for_ledger("pong", delivered=1)
        self.msgd.wait_for_ledger("ping", delivered=1)
        self.msgd.sent["ping"] += 1
        self.msgd.sent["pong"] += 1

    def test_replies_come_from_the_address_that_was_asked(self):
        consumer = self.msgd.receive("oracle", address="*")
        for address in ("127.0.0.1", "127.0.0.2", "::1"):
            client = self.client("oracle", address=address)
            client.ask(1)
            consumer.reply(consumer.take(1)[0], "1")
            client.expect(1, b"1")
            client.ask(1)
            client.expect(1, b"1")

    def test_replies_that_leave_this_host_are_limited_per_source(self):
        msgd = self.start({"limits": {"replies_per_source": 5}})
        consumer = msgd.receive("oracle", address="0.0.0.0", ack="manual")
        client = self.client("oracle", msgd)
        client.ask(1)
        message = consumer.take(1)[0]
        msgd.call("Reply", name="oracle", generation=1, seq=message["seq"], payload="1")
        for _ in range(50):
            client.ask(1)
        msgd.wait_for_ledger("oracle", duplicate=50)
        client.socket.settimeout(0)
        n = 0
        try:
            while client.socket.recv(1000):
                n += 1
        except BlockingIOError:
            pass
        self.assertLess(n, 50)
        self.assertNotIn("\nmsgd_replies_limited_total 0\n", msgd.call("Metrics")["text"])

    def test_who_asks_is_told_what_went_wrong(self):
        self.msgd.register("oracle", when_full="drop-old", mailbox_bytes=256, max_message_bytes=100)
        client = self.client("oracle")
        client.ask(1)
        client.ask(2)
        client.ask(3)
        header, _ = client.answer()
        self.assertEqual(header, {"type": "nack", "id": client.id(1), "reason": "mailbox_full", "retry": True})
        client.ask(4, b"nonsense")
        header, _ = client.answer()
        self.assertEqual(header, {"type": "nack", "id": client.id(4), "reason": "invalid_json"})


if __name__ == "__main__":
    main()
