# SPDX-License-Identifier: MIT
"""Consumers that are killed and come back: everything is delivered, nothing twice without saying so."""

import json
import os
import random
import re
import signal
import time

from msgd_test import IS_INSTRUMENTED, LONG, Story, build_path, main, numbered, wait_until


class ConsumersReturn(Story):
    def drain(self, msgd, *arguments):
        """A consumer on libmsgd, attached."""
        consumer = msgd.spawn("drain", *arguments)
        consumer.wait_for_stderr("attached")
        return consumer

    def attached_as(self, consumer):
        """(port, generation, resumed) as the consumer saw it."""
        port, generation, resumed = re.search(r"attached \S+ (\d+) (\d+) (\d)", consumer.stderr).groups()
        return int(port), int(generation), resumed == "1"

    def test_what_was_not_released_comes_again_marked_as_such(self):
        msgd = self.start()
        first = self.drain(msgd, "thermo", "--stop-after", "10", "--hold")
        msgd.send("thermo", numbered(1, 30))
        first.wait_for_lines(1)
        first.kill()
        msgd.wait_for_state("thermo", "away")
        second = self.drain(msgd, "thermo", "--count", "30", "--verify")
        self.assertEqual(second.wait(), 0)
        seen = json.loads(second.stdout)
        self.assertEqual((seen["received"], seen["redelivered"], seen["torn"], seen["gaps"]), (30, 10, 0, 0))
        self.assertEqual(self.attached_as(first)[0], self.attached_as(second)[0])
        self.assertEqual(self.attached_as(second)[1:], (self.attached_as(first)[1] + 1, True))
        msgd.wait_for_ledger("thermo", received=30, delivered=30, queued=0)

    def test_what_comes_while_the_consumer_is_away_waits_for_it(self):
        msgd = self.start()
        first = self.drain(msgd, "thermo", "--lease", "forever")
        first.kill()
        msgd.wait_for_state("thermo", "away")
        msgd.send("thermo", numbered(1, 500))
        msgd.wait_for_ledger("thermo", received=500, queued=500)
        second = self.drain(msgd, "thermo", "--count", "500", "--verify")
        self.assertEqual(second.wait(), 0)
        self.assertEqual(json.loads(second.stdout)["redelivered"], 0)

    def test_a_receive_client_that_breaks_off_loses_nothing(self):
        msgd = self.start()
        consumer = msgd.receive("thermo", ack="manual", window=5)
        msgd.send("thermo", numbered(1, 20))
        taken = consumer.take(5)
        consumer.ack(taken[1])
        msgd.wait_for_ledger("thermo", delivered=2)
        consumer.close()
        msgd.wait_for_state("thermo", "away")
        again = msgd.receive("thermo").take(18)
        self.assertEqual([json.loads(m["payload"])["n"] for m in again], list(range(3, 21)))
        marked = [m["redelivered"] for m in again]
        self.assertEqual(marked[:3], [True] * 3)
        self.assertEqual(marked[-10:], [False] * 10)
        self.assertEqual([m["deliveries"] for m in again], [2 if seen else 1 for seen in marked])

    def test_a_killed_consumer_is_redelivered_to_many_times_over(self):
        """The same message survives any number of consumers that die on it."""
        msgd = self.start()
        consumer = self.drain(msgd, "thermo", "--hold")
        msgd.send("thermo", numbered(1, 3))
        for _ in range(5):
            msgd.wait_for_ledger("thermo", queued=3)
            consumer.kill()
            msgd.wait_for_state("thermo", "away")
            consumer = self.drain(msgd, "thermo", "--hold")
        consumer.kill()
        msgd.wait_for_state("thermo", "away")
        again = msgd.receive("thermo").take(3)
        self.assertEqual([m["redelivered"] for m in again], [True] * 3)
        # A consumer that was killed before it had taken anything is none.
        self.assertTrue(all(1 < m["deliveries"] <= 7 for m in again), again)

    def test_consumers_killed_at_random_lose_nothing_and_release_in_order(self):
        """A minute in the long form. The log of each consumer is written before it releases."""
        seconds = 60 if LONG else 5
        rate = 2000 if IS_INSTRUMENTED else 20000
        seed = int(os.environ.get("MSGD_TEST_SEED", time.time_ns() & 0xFFFFFFFF))
        self.report("seed", seed)
        chance = random.Random(seed)
        msgd = self.start()
        log = os.path.join(self.folder, "taken.log")
        arguments = ("thermo", "--verify", "--log", log, "--lease", "forever", "--mailbox", str(512 << 20))
        in_fifties = (*arguments, "--release-every", "50")
        consumer = self.drain(msgd, *in_fifties)
        port = msgd.endpoint("thermo")["port"]
        flood = self.program([build_path("flood"), "127.0.0.1", port, "--size", "64", "--rate", rate,
                              "--seconds", seconds])
        kills = 0
        while flood.is_running():
            time.sleep(chance.uniform(0, 0.05))
            consumer.process.send_signal(signal.SIGKILL)
            consumer.process.wait()
            kills += 1
            if chance.random() < 0.5:
                time.sleep(chance.uniform(0, 0.05))
            consumer = self.drain(msgd, *in_fifties)
        consumer.kill()
        consumer = self.drain(msgd, *arguments)
        sent = json.loads(flood.stdout)["sent"]
        msgd.sent["thermo"] += sent
        msgd.check_sent("thermo")
        ledger = msgd.ledger("thermo")
        wait_until(lambda: msgd.ledger("thermo")["queued"] == 0, 30, "the last consumer to release everything")
        consumer.stop()
        self.report("killed, sent, dropped by the kernel", (kills, sent, ledger["kernel_dropped"]))
        self.check_log(log, sent - ledger["kernel_dropped"])

    def check_log(self, log, n_messages):
        """Each message stands in the log at least once; one comes again only if it was not released before."""
        numbers = set()
        highest = 0
        with open(log, encoding="ascii") as lines:
            for line in lines:
                if " " not in line:
                    continue  # a kill cut it, or a consumer began
                seq = int(line.split()[0])
                self.assertLessEqual(seq, highest + 1, "a message was passed over")
                highest = max(highest, seq)
                numbers.add(seq)
        self.assertEqual(len(numbers), n_messages)
        self.assertEqual(highest, n_messages)


main()
