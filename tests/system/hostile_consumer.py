# SPDX-License-Identifier: MIT
"""A consumer that rewrites everything it can write harms nobody but itself. A minute in the long form."""

import json
import os

from msgd_test import LONG, NOBODY, Story, build_path, main, n_descriptors, numbered, send_udp, wait_until


class HostileConsumer(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()
        self.uid = NOBODY if os.geteuid() == 0 else None

    def hostile(self, *arguments):
        return self.program([build_path("hostile"), self.msgd.socket, "evil", *arguments], uid=self.uid)

    def test_it_gets_no_writable_view_of_what_only_msgd_writes(self):
        if self.uid is None:
            self.skipTest("needs root: within one uid the memory is one trust domain")
        hostile = self.hostile("--checks-only")
        self.assertEqual(hostile.wait(), 0, hostile.stderr)
        self.assertEqual(json.loads(hostile.stdout)["attached"], 1)

    def test_it_is_thrown_out_and_others_lose_nothing(self):
        good = self.msgd.spawn("drain", "good", "--verify", "--mailbox", str(64 << 20))
        good.wait_for_stderr("attached")
        seconds = 60 if LONG else 5
        hostile = self.hostile("--seconds", seconds, "--seed", os.getpid())
        flood = self.program([build_path("flood"), "127.0.0.1", self.msgd.endpoint("good")["port"], "--size", 100,
                              "--rate", 5000, "--seconds", seconds])
        evil = wait_until(lambda: self.msgd.find("evil"), 5, "the hostile consumer to be there")
        feed = self.program([build_path("flood"), "127.0.0.1", evil["port"], "--size", 100, "--rate", 2000,
                             "--seconds", seconds])
        for program in (flood, feed, hostile):
            self.assertEqual(program.wait(seconds + 20), 0, program.stderr)
        self.msgd.sent["good"] += json.loads(flood.stdout)["sent"]
        self.msgd.check_sent("good")
        ledger = self.msgd.ledger("good")
        self.msgd.wait_for_ledger("good", delivered=ledger["datagrams"], queued=0)
        self.assertEqual(good.stop(), 0)
        seen = json.loads(good.stdout)
        self.assertEqual((seen["torn"], seen["out_of_order"], seen["gaps"]), (0, 0, 0))
        what = json.loads(hostile.stdout)
        self.report("attached, words written", (what["attached"], what["writes"]))
        self.assertGreater(what["attached"], 1, "it was never thrown out")

    def test_its_messages_are_kept_for_the_next_one(self):
        """It is thrown out while messages wait; its successor gets what was not released."""
        if self.uid is None:
            self.skipTest("needs root, for a consumer of another uid")
        self.assertEqual(self.hostile("--checks-only").wait(), 0)
        self.msgd.wait_for_state("evil", "away")
        self.msgd.sent["evil"] += send_udp("127.0.0.1", self.msgd.endpoint("evil")["port"], numbered(1, 100))
        self.msgd.wait_for_ledger("evil", received=100, queued=100)
        hostile = self.hostile("--seconds", "1")
        self.assertEqual(hostile.wait(), 0, hostile.stderr)
        self.msgd.wait_for_state("evil", "away")
        left = self.msgd.ledger("evil")["queued"]
        consumer = self.msgd.spawn("drain", "evil", "--verify", "--idle", "1000", uid=self.uid)
        self.assertEqual(consumer.wait(), 0, consumer.stderr)
        seen = json.loads(consumer.stdout)
        self.assertEqual((seen["received"], seen["torn"]), (left, 0))

    def test_it_leaves_no_descriptors_behind(self):
        before = n_descriptors(self.msgd.pid)
        self.assertEqual(self.hostile("--seconds", "1").wait(), 0)
        self.msgd.call("Release", name="evil")
        wait_until(lambda: n_descriptors(self.msgd.pid) <= before, 5, "descriptors to be closed")


main()
