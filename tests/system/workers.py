# SPDX-License-Identifier: MIT
"""Endpoints spread over several worker threads, with one consumer process for all of them."""

import json

from msgd_test import Story, main, numbered

N_ENDPOINTS = 8


class Workers(Story):
    def setUp(self):
        super().setUp()
        self.several = self.start({"workers": 3})

    def names(self):
        return [f"many-{i}" for i in range(N_ENDPOINTS)]

    def test_one_consumer_reads_from_all_of_them(self):
        drain = self.several.spawn("drain", "many", "--endpoints", str(N_ENDPOINTS), "--verify",
                                   "--count", str(N_ENDPOINTS * 500))
        drain.wait_for_stderr("attached")
        for name in self.names():
            self.several.send(name, numbered(1, 500))
        self.assertEqual(drain.wait(30), 0, drain.stderr)
        seen = json.loads(drain.stdout)
        self.assertEqual((seen["received"], seen["torn"], seen["repeated"]), (N_ENDPOINTS * 500, 0, 0))
        for name in self.names():
            self.several.wait_for_ledger(name, delivered=500, queued=0)

    def test_a_consumer_that_is_killed_leaves_everything_on_all_of_them(self):
        drain = self.several.spawn("drain", "many", "--endpoints", str(N_ENDPOINTS), "--verify", "--hold")
        drain.wait_for_stderr("attached")
        for name in self.names():
            self.several.send(name, numbered(1, 100))
            self.several.wait_for_ledger(name, datagrams=100)
        drain.kill()
        for name in self.names():
            self.several.wait_for_state(name, "away")
            self.several.wait_for_ledger(name, queued=100, delivered=0)
            messages = self.several.receive(name).take(100)
            self.assertEqual([m["seq"] for m in messages], list(range(1, 101)))


main()
