# SPDX-License-Identifier: MIT
"""Acknowledged messages, sent by a plain peer that writes every frame by hand: what is kept is said to be, once, and nothing else is."""

import json
import random
import threading
import time

from msgd_frame import Sender, frame, parse
from msgd_test import Story, main, udp_socket, wait_until

ACK, NACK = "ack", "nack"
TEXT = b'{"n":%d}'
# Room for nine messages of a few bytes with an id of source and number.
SMALL = {"mailbox_bytes": 1152, "max_message_bytes": 1000}
KEPT = 9


class Peer:
    """A sender of framed datagrams to one endpoint."""

    def __init__(self, msgd, name, address="127.0.0.1", source_address=None):
        self.msgd, self.name = msgd, name
        self.socket = udp_socket(source_address or address)
        self.port = msgd.endpoint(name)["port"]
        self.to = (address, self.port)
        self.source = f"{random.getrandbits(64):016x}"

    def id(self, number):
        return number if isinstance(number, str) else f"{self.source}.{number}"

    def raw(self, datagram):
        self.socket.sendto(datagram, self.to)
        self.msgd.sent[self.name] += 1

    def send(self, number, body=None, ack="stored", kind="send", pad_to=160, **members):
        if ack:
            members["ack"] = ack
        if number is not None:
            members["id"] = self.id(number)
        body = TEXT % number if body is None else body
        self.raw(frame(kind, body, pad_to=pad_to, **members))

    def batch(self, first, texts, ack="stored", pad_to=160):
        body = b"".join(b"\x1e" + text + b"\n" for text in texts)
        self.send(first, body, ack, "batch", pad_to)

    def answer(self, timeout=10):
        """The next answer's members, without crc and pad; its source must be the address asked."""
        self.socket.settimeout(timeout)
        datagram, source = self.socket.recvfrom(65536)
        assert source[:2] == self.to, f"an answer from {source}, not {self.to}"
        header, _ = parse(datagram)
        header.pop("crc", None)
        header.pop("pad", None)
        return header

    def expect(self, kind, number, **members):
        wanted = {"type": kind, "id": self.id(number), **members}
        assert (got := self.answer()) == wanted, f"{got}, not {wanted}"

    def stored(self, number, **members):
        self.expect(ACK, number, ack="stored", **members)

    def released(self, number, **members):
        self.expect(ACK, number, ack="released", **members)

    def nacked(self, number, reason, retry=False, **members):
        self.expect(NACK, number, reason=reason, **({"retry": True} if retry else {}), **members)

    def silence(self):
        """Nothing more has been answered: a ping's pong comes next."""
        token = f"{random.getrandbits(64):016x}"
        self.raw(frame("ping", b" " * 100, token=token))
        got = self.answer()
        assert got == {"type": "pong", "token": token}, got


class Acknowledged(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def peer(self, name, msgd=None, **options):
        peer = Peer(msgd or self.msgd, name, **options)
        self.addCleanup(peer.socket.close)
        return peer

    def counters(self, name, msgd=None, **wanted):
        return (msgd or self.msgd).wait_for_ledger(name, **wanted)

    # ---- Stored and released ----

    def test_a_message_is_acknowledged_when_it_is_in_the_mailbox(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.send(1)
        peer.stored(1)
        self.counters("box", queued=1, received=1, datagrams=1, protocol=0)

    def test_a_message_is_acknowledged_when_its_consumer_has_released_it(self):
        consumer = self.msgd.receive("box", ack="manual")
        peer = self.peer("box")
        peer.send(1, ack="released")
        message = consumer.take(1)[0]
        self.assertEqual((message["type"], message["id"], message["payload"]), ("send", peer.id(1), '{"n":1}'))
        peer.silence()
        consumer.ack(message)
        peer.released(1)
        self.counters("box", delivered=1, protocol=1, received=2)

    def test_an_attached_consumer_that_releases_tells_at_once(self):
        service = self.msgd.spawn("msgrecv", "box", "--json")
        service.wait_for_stderr("box at")
        peer = self.peer("box")
        begin = time.monotonic()
        for number in range(1, 20):
            peer.send(number, ack="released")
            peer.released(number)
        self.assertLess(time.monotonic() - begin, 12, "not by the timer that looks once a second")
        self.counters("box", delivered=19)

    def test_without_a_wish_nothing_is_answered(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.send(1, ack=None)
        peer.send(1, ack=None)
        peer.send(None, b"[1]", ack=None)
        peer.silence()
        self.counters("box", queued=2, duplicate=1, protocol=1)

    def test_a_text_id_is_as_good(self):
        consumer = self.msgd.receive("box", ack="manual")
        peer = self.peer("box")
        name = "x" * 64
        peer.send(name, b"1", ack="released")
        peer.send(name, b"1", ack="released")
        peer.stored(name)
        consumer.ack(consumer.take(1)[0])
        peer.released(name)
        peer.send(name, b"1", ack="released")
        peer.released(name)
        self.counters("box", delivered=1, duplicate=2)

    def test_acknowledgements_of_consecutive_numbers_go_as_one(self):
        consumer = self.msgd.receive("box", ack="manual", window=100)
        peer = self.peer("box")
        for number in range(1, 51):
            peer.send(number, ack="released")
        consumer.ack(consumer.take(50)[-1])
        peer.released(1, count=50)
        peer.silence()

    # ---- Duplicates ----

    def test_a_duplicate_is_acknowledged_as_before_and_not_delivered_again(self):
        consumer = self.msgd.receive("box", ack="manual")
        peer = self.peer("box")
        peer.send(1)
        peer.stored(1)
        peer.send(2, ack="released")
        for _ in range(3):  # waiting
            peer.send(1)
            peer.stored(1)
            peer.send(2, ack="released")
            peer.stored(2)
        messages = consumer.take(2)
        peer.send(2, ack="released")  # taken
        peer.stored(2)
        consumer.ack(messages[1])
        peer.released(2)
        for _ in range(3):  # released
            peer.send(1)
            peer.stored(1)
            peer.send(2, ack="released")
            peer.released(2)
        peer.silence()
        self.counters("box", delivered=2, duplicate=13)

    def test_the_id_is_the_identity_and_not_the_address(self):
        self.msgd.register("box")
        one, two = self.peer("box"), self.peer("box")
        two.source = one.source
        one.send(1)
        one.stored(1)
        two.send(1)
        two.stored(1)
        self.counters("box", queued=1, duplicate=1)

    def test_the_same_id_at_another_endpoint_is_another_message(self):
        self.msgd.register("box")
        self.msgd.register("other")
        one, two = self.peer("box"), self.peer("other")
        two.source = one.source
        for peer in (one, two):
            peer.send(1)
            peer.stored(1)
        self.counters("other", queued=1, duplicate=0)

    def test_a_number_far_back_counts_as_a_duplicate(self):
        self.msgd.register("box")
        peer = self.peer("box")
        for number in (10000, 10000 - 4095):
            peer.send(number)
            peer.stored(number)
        peer.send(10000 - 4096, ack="released")
        peer.released(10000 - 4096)
        self.counters("box", queued=2, duplicate=1)

    def test_a_resumed_endpoint_still_knows_what_it_has_had(self):
        c, _ = self.msgd.register("box")
        peer = self.peer("box")
        peer.send(1)
        peer.stored(1)
        c.close()
        self.msgd.wait_for_state("box", "away")
        consumer = self.msgd.receive("box", ack="manual")
        peer.send(1)
        peer.stored(1)
        self.assertEqual(consumer.take(1)[0]["id"], peer.id(1))
        self.counters("box", queued=1, duplicate=1)

    # ---- Batches ----

    def test_each_message_of_a_batch_counts_by_itself(self):
        consumer = self.msgd.receive("box", ack="manual")
        peer = self.peer("box")
        peer.batch(1, [b"1", b" [2] ", b'"three"'], ack="released")
        messages = consumer.take(3)
        self.assertEqual([m["payload"] for m in messages], ["1", " [2] ", '"three"'])
        self.assertEqual([m["id"] for m in messages], [peer.id(n) for n in (1, 2, 3)])
        consumer.ack(messages[2])
        peer.released(1, count=3)
        peer.batch(2, [b"2", b"3", b"4"], ack="released")
        peer.released(2, count=2)
        self.counters("box", datagrams=2, received=6, delivered=3, queued=1, duplicate=2)

    def test_a_batch_that_finds_room_for_a_part_keeps_that_part(self):
        self.msgd.register("box", **SMALL)
        peer = self.peer("box")
        peer.batch(1, [TEXT % n for n in range(12)], pad_to=1000)
        peer.stored(1, count=KEPT)
        peer.nacked(1 + KEPT, "mailbox_full", retry=True, count=12 - KEPT)
        peer.batch(1, [TEXT % n for n in range(12)], pad_to=1000)
        peer.stored(1, count=KEPT)
        peer.nacked(1 + KEPT, "mailbox_full", retry=True, count=12 - KEPT)
        self.counters("box", received=24, queued=KEPT, duplicate=KEPT, mailbox_full=2 * (12 - KEPT))

    def test_what_in_a_batch_is_not_json_is_refused_alone(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.batch(1, [b"1", b"nonsense", b"", b"4"], pad_to=600)
        peer.stored(1)
        peer.nacked(2, "invalid_json", count=2)
        peer.stored(4)
        self.counters("box", received=4, queued=2, invalid_json=2)

    def test_a_body_that_is_no_batch_counts_as_one(self):
        self.msgd.register("box")
        peer = self.peer("box")
        for body in (b"", b"1\x1e2\n"):
            peer.send(1, body, kind="batch")
            peer.nacked(1, "invalid_json")
        self.counters("box", received=2, invalid_json=2)

    def test_a_batch_without_an_id_is_a_batch(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.batch(None, [b"1", b"2"], ack=None)
        peer.silence()
        self.counters("box", received=3, queued=2, protocol=1)

    def test_the_largest_batch_is_taken(self):
        self.msgd.register("box", mailbox_bytes=8 << 20)
        peer = self.peer("box")
        peer.batch(1, [b"1"] * 21000)
        peer.stored(1, count=21000)
        self.counters("box", received=21000, queued=21000)

    # ---- Refused ----

    def test_a_full_mailbox_is_said_to_be_full_and_takes_the_message_later(self):
        consumer = self.msgd.receive("box", ack="manual", window=100, **SMALL)
        peer = self.peer("box")
        for number in range(1, KEPT + 1):
            peer.send(number)
            peer.stored(number)
        peer.send(KEPT + 1)
        peer.nacked(KEPT + 1, "mailbox_full", retry=True)
        peer.send(KEPT + 1)
        peer.nacked(KEPT + 1, "mailbox_full", retry=True)
        consumer.ack(consumer.take(KEPT)[-1])
        self.counters("box", delivered=KEPT)
        peer.send(KEPT + 1)
        peer.stored(KEPT + 1)
        self.counters("box", queued=1, mailbox_full=2, duplicate=0)

    def test_every_lasting_reason_is_named(self):
        self.msgd.register("box", max_message_bytes=100)
        self.msgd.register("closed", allow=["10.0.0.0/8"])
        rows = (("box", "too_large", b'"%s"' % (b"x" * 99)), ("box", "invalid_json", b"nonsense"), ("closed", "not_allowed", b"1"))
        for name, reason, body in rows:
            with self.subTest(reason):
                peer = self.peer(name)
                for kind in ("send", "request"):
                    peer.send(1, body, kind=kind)
                    peer.nacked(1, reason)
                peer.send(1, body, ack=None)
                self.counters(name, **{reason: 3})

    def test_a_batch_that_is_not_allowed_is_refused_whole(self):
        self.msgd.register("closed", allow=["10.0.0.0/8"])
        peer = self.peer("closed")
        peer.batch(1, [b"1", b"nonsense", b"3"])
        peer.nacked(1, "not_allowed", count=3)
        peer.raw(frame("ping", b" " * 100))
        peer.raw(frame("hologram", id="x", ack="stored", pad_to=160))
        peer.nacked("x", "not_allowed")
        self.counters("closed", received=5, not_allowed=5, protocol=0)

    def test_a_type_that_is_not_known_is_unsupported(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.send(1, b"anything", kind="hologram")
        peer.nacked(1, "unsupported")
        peer.send(1, b"anything", kind="hologram", ack=None)
        peer.send(None, b"anything", kind="hologram", ack=None)
        peer.silence()
        self.counters("box", unsupported=3)
        self.assertEqual(len(self.msgd.call("Quarantine", name="box")["entries"]), 3)

    def test_more_senders_than_can_be_remembered_are_refused_for_the_time_being(self):
        msgd = self.start({"limits": {"sources": 3}})
        msgd.register("box")
        peers = [self.peer("box", msgd) for _ in range(4)]
        for peer in peers[:3]:
            peer.send(1)
            peer.stored(1)
        peers[3].send(1)
        peers[3].nacked(1, "sources_full", retry=True)
        peers[0].send(2)
        peers[0].stored(2)
        peers[3].send("a-text", b"1")
        peers[3].stored("a-text")
        peers[3].send(None, b"1", ack=None)
        self.counters("box", msgd, queued=6, sources_full=1)

    def test_a_used_up_quota_is_said(self):
        msgd = self.start({"limits": {"mailbox_bytes_per_uid": 65728}})
        msgd.register("other", mailbox_bytes=65728)
        msgd.send("other", [b'"%s"' % (b"x" * 65000)])
        msgd.register("box", **SMALL)
        peer = self.peer("box", msgd)
        refused = [peer.send(n) or peer.answer() for n in range(1, KEPT + 1)][-1]
        self.assertEqual((refused["type"], refused.get("reason"), refused.get("retry")), (NACK, "quota_exceeded", True))

    # ---- Dropped later ----

    def test_what_is_dropped_for_a_newer_one_is_told_and_may_come_again(self):
        self.msgd.register("box", when_full="drop-old", **SMALL)
        peer = self.peer("box")
        for number in range(1, KEPT + 1):
            peer.send(number, ack="released")
        peer.send(KEPT + 1)
        peer.nacked(1, "mailbox_full", retry=True)
        peer.stored(KEPT + 1)
        peer.send(1)
        peer.nacked(2, "mailbox_full", retry=True)
        peer.stored(1)
        self.counters("box", queued=KEPT, mailbox_full=2, duplicate=0)

    def test_who_waits_is_told_that_the_lease_has_ended(self):
        c, _ = self.msgd.register("box", lease_s=0)
        peer = self.peer("box")
        peer.send(1, ack="released")
        peer.send(2)
        peer.stored(2)
        peer.send("job", b"1", ack=None, kind="request")
        peer.silence()
        self.msgd.sent.pop("box")
        c.close()
        peer.nacked(1, "expired")
        peer.nacked("job", "expired")

    def test_who_waits_is_told_that_the_endpoint_has_been_released(self):
        for attach in (False, True):
            with self.subTest(attached=attach):
                consumer = self.msgd.receive("box", ack="manual") if attach else self.msgd.register("box")[0]
                peer = self.peer("box")
                peer.batch(1, [b"1", b"2", b"3"], ack="released", pad_to=600)
                if attach:
                    consumer.take(3)
                self.counters("box", queued=3)
                ledger = self.msgd.release("box")
                peer.nacked(1, "released", count=3)
                self.assertEqual(ledger["dropped"]["released"], 3)

    def test_what_is_acknowledged_has_been_released_once_whoever_came_and_went(self):
        """Consumers take some, release some and vanish, while a sender goes on until it has heard of everything."""
        texts = [b'{"n":%d}' % n for n in range(1, 1501)]
        consumer = self.msgd.receive("box", ack="manual", mailbox_bytes=131072)
        with udp_socket() as s:
            s.settimeout(None)
            sender = Sender(s, ("127.0.0.1", consumer.port), wish="released")
            thread = threading.Thread(target=sender.send_all, args=(texts,))
            thread.start()
            released, random_ = [], random.Random(11)
            while len(released) < len(texts):
                messages = consumer.take(min(random_.randrange(1, 60), len(texts) - len(released)))
                done = messages[:random_.randrange(len(messages)) + 1]
                consumer.ack(done[-1])
                self.assertTrue(not released or done[0]["redelivered"] or done[0]["seq"] == released[-1]["seq"] + 1)
                released += done
                wait_until(lambda: self.msgd.ledger("box")["delivered"] == len(released), 10, "the release")
                if random_.randrange(3) == 0 or len(done) < len(messages):
                    consumer.close()
                    self.msgd.wait_for_state("box", "away")
                    consumer = self.msgd.receive("box", ack="manual")
            thread.join(20)
        self.msgd.sent["box"] += sender.n_datagrams
        self.assertEqual(sorted(json.loads(m["payload"])["n"] for m in released), list(range(1, len(texts) + 1)))
        self.assertEqual(set(sender.outcomes.values()), {"released"})
        self.assertLessEqual(sender.longest_answer, 128)

    # ---- Modes ----

    def test_a_shared_message_is_released_by_whoever_has_it(self):
        consumers = [self.msgd.receive("box", mode="share", ack="manual") for _ in range(2)]
        peer = self.peer("box")
        for number in (1, 2):
            peer.send(number, ack="released")
        messages = [c.take(1)[0] for c in consumers]
        for consumer, message in zip(consumers, messages):
            consumer.ack(message)
            peer.expect(ACK, message["id"], ack="released")
        self.counters("box", delivered=2)

    def test_a_message_of_a_shared_endpoint_that_goes_to_another_is_released_by_that_one(self):
        one = self.msgd.receive("box", mode="share", ack="manual")
        peer = self.peer("box")
        peer.send(1, ack="released")
        one.take(1)
        other = self.msgd.receive("box", mode="share", ack="manual")
        one.close()
        message = other.take(1)[0]
        self.assertEqual((message["id"], message["redelivered"]), (peer.id(1), True))
        peer.send(1, ack="released")
        peer.stored(1)
        other.ack(message)
        peer.released(1)

    def test_a_copied_message_is_released_by_the_last(self):
        consumers = [self.msgd.receive("box", mode="copy", ack="manual") for _ in range(3)]
        peer = self.peer("box")
        peer.send(1, ack="released")
        for consumer in consumers:
            message = consumer.take(1)[0]
            peer.silence()
            consumer.ack(message)
        peer.released(1)
        self.counters("box", delivered=1, protocol=3)

    # ---- Where answers go ----

    def test_answers_come_from_the_address_that_was_asked(self):
        self.msgd.register("box", address="0.0.0.0")
        for address in ("127.0.0.1", "127.0.0.2", "127.1.2.3"):
            peer = self.peer("box", address=address, source_address="127.0.0.1")
            peer.send(1)
            peer.stored(1)
            peer.send(1)
            peer.stored(1)
        self.counters("box", queued=3, duplicate=3)

    def test_answers_over_ipv6_come_from_the_address_that_was_asked(self):
        self.msgd.register("box", address="*")
        for address in ("::1", "127.0.0.1"):
            peer = self.peer("box", address=address)
            peer.send(1)
            peer.stored(1)

    def test_no_answer_is_longer_than_what_it_answers(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.raw(frame("send", b"1", with_crc=False, id=peer.id(1), ack="stored"))
        peer.raw(frame("send", b"x", with_crc=False, id=peer.id(3), ack="stored"))
        peer.raw(frame("ping", with_crc=False))
        peer.silence()
        self.counters("box", queued=1, invalid_json=1)
        text = self.msgd.call("Metrics")["text"]
        self.assertIn("\nmsgd_answers_suppressed_total 3\n", text)

    def test_answers_that_leave_this_host_are_limited_per_source(self):
        msgd = self.start({"limits": {"answers_per_source": 5}})
        msgd.register("box", address="0.0.0.0")
        peer = self.peer("box", msgd)
        for number in range(1, 101, 2):  # no two that could go as one
            peer.send(number)
        self.counters("box", msgd, queued=50)
        peer.socket.settimeout(0)
        n = 0
        try:
            while peer.socket.recv(1000):
                n += 1
        except BlockingIOError:
            pass
        self.assertLess(n, 50)
        self.assertIn(f"\nmsgd_answers_limited_total {50 - n}\n", msgd.call("Metrics")["text"])

    def test_an_answer_is_answered_by_nobody(self):
        self.msgd.register("box")
        peer = self.peer("box")
        nonce = "0" * 32
        for datagram in (frame("ack", id=peer.id(1), ack="stored"), frame("nack", id=peer.id(1), reason="x"),
                         frame("pong", b" " * 500), frame("challenge", nonce=nonce, cookie="x"),
                         frame("accept", nonce=nonce, session=nonce, window=1), frame("refuse", nonce=nonce, reason="x"),
                         frame("close", session=nonce, reason="x")):
            peer.raw(datagram)
        peer.silence()
        self.counters("box", received=8, protocol=8, queued=0)

    def test_two_daemons_that_are_set_on_each_other_fall_silent(self):
        """A datagram that seems to come from another msgd's endpoint causes one answer, and that none."""
        other = self.start()
        self.msgd.register("box")
        other.register("box")
        ports = [d.endpoint("box")["port"] for d in (self.msgd, other)]
        self.msgd.call("Send", name="box", to=f"127.0.0.1:{ports[1]}",
                       payload=frame("send", b"1", pad_to=160, id="x", ack="stored").decode())
        self.counters("box", other, received=1, queued=1)
        self.counters("box", self.msgd, received=1, protocol=1)
        other.sent["box"] += 1
        self.msgd.sent["box"] += 1

    # ---- Bad input ----

    def test_what_is_malformed_is_counted_kept_and_never_answered(self):
        self.msgd.register("box")
        peer = self.peer("box")
        good = frame("send", b"1", pad_to=200, id=peer.id(1), ack="stored")
        headers = (b"", b"{", b"{}", b"[]", b"null", b'{"type":1}', b'{"type":"send","type":"send"}', b'{"type":"send","id":""}',
                   b'{"type":"send","id":"a b"}', b'{"type":"send","id":1}', b'{"type":"send","ack":"stored"}',
                   b'{"type":"send","id":"a","ack":"perhaps"}', b'{"type":"request"}', b'{"type":"batch","id":"text"}',
                   b'{"type":"reply"}', b'{"type":"nack","id":"a"}', b'{"type":"send","id":"a\\u0062"}',
                   b'{"type":"send","crc":"00000000"}', b'{"type":"send","crc":"XYZ"}', b'{"type":"send"} x',
                   b'{"type":"connect"}', b'{"type":"data"}', b'{"type":"send","pad":"' + b"x" * 2048 + b'"}',
                   b'{"type":"send","id":"' + b"x" * 65 + b'"}', b"\xff" * 20, b'{"type":"send","x":[1,}')
        datagrams = [b"\x1e" + header + b"\n" + b"1" for header in headers]
        datagrams += [b"\x1e", b"\x1e\n", b'\x1e{"type":"send"}', good[:-1] + b"2", good[:60], b"\x1e" * 100]
        datagrams += [frame("ack", b"body", id="a", ack="stored")]
        for datagram in datagrams:
            peer.raw(datagram)
        peer.silence()
        self.counters("box", malformed_frame=len(datagrams), queued=0, protocol=1)
        reasons = {e["reason"] for e in self.msgd.call("Quarantine", name="box")["entries"]}
        self.assertEqual(reasons, {"malformed_frame"})

    def test_frames_of_nonsense_change_nothing(self):
        self.msgd.register("box")
        peer = self.peer("box")
        random.seed(7)
        good = frame("send", b'{"n":1}', pad_to=160, id=peer.id(1), ack="stored")
        name = good.index(b'"crc":')  # by another name it would be no checksum
        places = [at for at in range(1, len(good)) if not name <= at < name + 6]
        for _ in range(2000):
            datagram = bytearray(good)
            for at in random.sample(places, random.randrange(1, 4)):
                datagram[at] = random.randrange(256)
            peer.raw(bytes(datagram) if bytes(datagram) != good else b"\x1e")
        wait_until(lambda: self.msgd.ledger("box")["received"] == 2000, 10, "all to be read")
        self.counters("box", malformed_frame=2000)
        peer.silence()
        peer.send(1)
        peer.stored(1)

    def test_unknown_members_are_ignored(self):
        self.msgd.register("box")
        peer = self.peer("box")
        peer.send(1, colour="blue", deep={"a": [1, {"b": None}]})
        peer.stored(1)

    def test_a_raw_endpoint_takes_frames_as_bytes(self):
        consumer = self.msgd.receive("box", format="raw")
        peer = self.peer("box")
        peer.send(1, b"1")
        message = consumer.take(1)[0]
        self.assertTrue(message["payload"].startswith('\x1e{"type":"send"'))
        self.assertEqual((message["type"], message["id"]), ("plain", None))

    def test_sessions_are_refused_where_there_are_none(self):
        self.msgd.register("box")
        peer = self.peer("box")
        nonce = f"{random.getrandbits(128):032x}"
        peer.raw(frame("connect", b" " * 1200, nonce=nonce, window=1000))
        self.assertEqual(peer.answer(), {"type": "refuse", "nonce": nonce, "reason": "no_sessions"})
        peer.raw(frame("connect", nonce=nonce, window=1000, with_crc=False))
        peer.silence()
        self.counters("box", protocol=3)

    # ---- Replay ----

    def test_a_replayed_message_is_kept_and_answers_nobody(self):
        c, _ = self.msgd.register("box", max_message_bytes=10)
        peer = self.peer("box")
        peer.send(1, b'"a text that is too long"', ack="released")
        peer.nacked(1, "too_large")
        c.call("Register", name="box", max_message_bytes=1000)
        self.assertEqual(self.msgd.call("QuarantineReplay", name="box"), {"accepted": 1, "refused": 0, "next": None})
        peer.silence()
        self.counters("box", queued=1, too_large=1)


if __name__ == "__main__":
    main()
