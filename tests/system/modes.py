# SPDX-License-Identifier: MIT
"""Several consumers: share gives each message to one of them, copy gives it to all."""

import json

from msgd_keeper import KeptDaemon
from msgd_test import Story, free_port, main, numbered, wait_until


def numbers(messages):
    return [json.loads(m["payload"])["n"] for m in messages]


class Share(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def test_each_message_goes_to_one_consumer(self):
        drains = [self.msgd.spawn("drain", "work", "--mode", "share", "--verify", "--idle", "1500") for _ in range(3)]
        for d in drains:
            d.wait_for_stderr("attached")
        wait_until(lambda: len(self.msgd.endpoint("work")["consumers"]) == 3, 5, "three consumers")
        self.msgd.send("work", numbered(1, 3000))
        self.msgd.wait_for_ledger("work", received=3000, delivered=3000, queued=0)
        for d in drains:
            self.assertEqual(d.wait(), 0)
        parts = [json.loads(d.stdout)["received"] for d in drains]
        self.assertEqual(sum(parts), 3000)
        self.assertTrue(all(parts), f"one of them got nothing: {parts}")

    def test_what_a_consumer_had_not_released_goes_to_the_others(self):
        first = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        second = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        self.msgd.send("work", numbered(1, 100))
        self.msgd.wait_for_ledger("work", received=100, queued=100)
        rows = self.msgd.endpoint("work")["consumers"]
        self.assertEqual(sum(r["queued"] for r in rows), 100)
        first.close()
        wait_until(lambda: len(self.msgd.endpoint("work")["consumers"]) == 1, 5, "one consumer to be left")
        self.assertEqual(sorted(numbers(second.take(100))), list(range(1, 101)))
        self.msgd.wait_for_ledger("work", queued=100, delivered=0)

    def test_the_last_consumer_that_leaves_leaves_everything(self):
        first = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        second = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        self.msgd.send("work", numbered(1, 50))
        self.msgd.wait_for_ledger("work", queued=50)
        first.close()
        second.close()
        self.msgd.wait_for_state("work", "away")
        again = self.msgd.receive("work", mode="share")
        self.assertEqual(sorted(numbers(again.take(50))), list(range(1, 51)))
        self.msgd.wait_for_ledger("work", delivered=50)

    def test_an_ack_goes_by_the_order_of_handing_over(self):
        """What another consumer left comes later with lower numbers; it is not released with what came first."""
        first = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        second = self.msgd.receive("work", mode="share", ack="manual", window=1000)
        self.msgd.send("work", numbered(1, 20))
        self.msgd.wait_for_ledger("work", queued=20)
        mine = second.take(10)
        first.close()
        others = second.take(10)
        self.assertLess(others[0]["seq"], mine[-1]["seq"])
        second.ack(mine[-1])
        self.msgd.wait_for_ledger("work", delivered=10, queued=10)
        second.ack(others[-1])
        self.msgd.wait_for_ledger("work", delivered=20, queued=0)

    def test_a_consumer_that_stops_reading_does_not_stop_the_others(self):
        self.msgd.receive("work", mode="share", ack="manual", window=1)
        good = self.msgd.spawn("drain", "work", "--mode", "share")
        good.wait_for_stderr("attached")
        self.msgd.send("work", numbered(1, 1000))
        wait_until(lambda: self.msgd.ledger("work")["delivered"] >= 300, 5, "the good consumer to go on")


class Copy(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def test_each_message_goes_to_all(self):
        drains = [self.msgd.spawn("drain", "news", "--mode", "copy", "--verify", "--count", "2000") for _ in range(3)]
        for d in drains:
            d.wait_for_stderr("attached")
        wait_until(lambda: len(self.msgd.endpoint("news")["consumers"]) == 3, 5, "three consumers")
        self.msgd.send("news", numbered(1, 2000))
        for d in drains:
            self.assertEqual(d.wait(), 0)
            seen = json.loads(d.stdout)
            self.assertEqual((seen["received"], seen["torn"], seen["gaps"]), (2000, 0, 0))
        self.msgd.wait_for_ledger("news", received=2000, delivered=2000, queued=0)

    def test_a_message_is_queued_while_any_consumer_holds_it(self):
        slow = self.msgd.receive("news", mode="copy", ack="manual", window=100)
        fast = self.msgd.receive("news", mode="copy", ack="manual", window=100)
        self.msgd.send("news", numbered(1, 10))
        fast.ack(fast.take(10)[-1])
        slow_messages = slow.take(10)
        wait_until(lambda: sorted(r["delivered"] for r in self.msgd.endpoint("news")["consumers"]) == [0, 10], 5,
                   "one row to be through")
        ledger = self.msgd.ledger("news")
        self.assertEqual((ledger["queued"], ledger["delivered"]), (10, 0))
        slow.ack(slow_messages[3])
        self.msgd.wait_for_ledger("news", queued=6, delivered=4)
        slow.ack(slow_messages[-1])
        self.msgd.wait_for_ledger("news", queued=0, delivered=10)

    def test_a_slow_consumer_misses_and_the_others_do_not(self):
        self.msgd.receive("news", mode="copy", ack="manual", window=1, mailbox_bytes=65536 * 2)
        fast = self.msgd.spawn("drain", "news", "--mode", "copy", "--verify", "--count", "5000",
                               "--mailbox", str(65536 * 2))
        fast.wait_for_stderr("attached")
        for first in range(1, 5001, 100):
            self.msgd.send("news", numbered(first, 100))
            self.msgd.wait_for_ledger("news", received=first + 99)
            wait_until(lambda seen=first + 99: max(r["delivered"] for r in self.msgd.endpoint("news")["consumers"]) >= seen
                       or not fast.is_running(), 5, "the fast consumer to keep up")
        self.assertEqual(fast.wait(), 0)
        self.assertEqual(json.loads(fast.stdout)["gaps"], 0)
        rows = self.msgd.endpoint("news")["consumers"]
        self.assertEqual(len(rows), 1)
        self.assertGreater(rows[0]["missed"], 0)
        self.assertEqual(rows[0]["missed"] + rows[0]["queued"] + rows[0]["delivered"], 5000)
        self.msgd.wait_for_ledger("news", received=5000)
        ledger = self.msgd.ledger("news")
        self.assertEqual(ledger["delivered"] + ledger["queued"], 5000, "one consumer released each of them")

    def test_a_message_that_nobody_released_is_dropped_when_the_last_copy_goes(self):
        first = self.msgd.receive("news", mode="copy", ack="manual", window=100, lease_s=0)
        second = self.msgd.receive("news", mode="copy", ack="manual", window=100, lease_s=0)
        self.msgd.send("news", numbered(1, 10))
        first.ack(first.take(10)[4])
        second.take(10)
        wait_until(lambda: any(r["delivered"] == 5 for r in self.msgd.endpoint("news")["consumers"]), 5, "the ack")
        final = self.msgd.release("news")
        self.assertEqual((final["received"], final["delivered"], final["dropped"]["released"]), (10, 5, 5))


class CopyOverRestarts(Story):
    """What waits in mode copy is for all who were there, however msgd ends."""

    def setUp(self):
        super().setUp()
        self.msgd = self.start({"endpoints": [{"name": "news", "port": free_port(), "mode": "copy"}]}, kind=KeptDaemon)

    def consumers(self, n):
        return [self.msgd.receive("news", ack="manual", window=1000) for _ in range(n)]

    def hold(self):
        """Two consumers: one has released 60 of 100, the other 10."""
        consumers = self.consumers(2)
        self.msgd.send("news", numbered(1, 100))
        for consumer, n in zip(consumers, (60, 10), strict=True):
            consumer.ack(consumer.take(100)[n - 1])
        wait_until(lambda: sorted(r["delivered"] for r in self.msgd.endpoint("news")["consumers"]) == [10, 60], 5,
                   "both to be through")

    def test_both_get_what_one_of_them_had_not_released(self):
        for end in (self.msgd.kill, self.msgd.restart):
            self.hold()
            end()
            self.msgd.wait_for_ledger("news", queued=90)
            for consumer in self.consumers(2):
                messages = consumer.take(90)
                self.assertEqual([json.loads(m["payload"])["n"] for m in messages], list(range(11, 101)))
                consumer.ack(messages[-1])
            self.msgd.wait_for_ledger("news", queued=0)
            self.msgd.close_connections()
            self.msgd.wait_for_state("news", "away")

    def test_who_does_not_come_back_holds_nobody_up_for_long(self):
        self.hold()
        self.msgd.kill()
        consumer, = self.consumers(1)
        self.msgd.send("news", numbered(101, 1))
        self.assertEqual(len(consumer.take(91, timeout=30)), 91)  # who was there has 10 s to come back


main()
