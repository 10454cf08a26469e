# SPDX-License-Identifier: MIT
"""What happens when a consumer does not keep up: drop-new keeps the oldest, drop-old the newest."""

import json
import os
import signal

from msgd_test import LONG, Story, build_path, main, numbered, wait_until

SMALL = 65536 + 64 + 4096  # little more than one largest message: about 540 records of 128 bytes


def numbers(messages):
    return [json.loads(m["payload"])["n"] for m in messages]


class FullMailboxes(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def fill(self, name, n, first=1):
        """Sends slowly enough that the kernel drops nothing."""
        for start in range(first, first + n, 500):
            self.msgd.send(name, numbered(start, min(500, first + n - start)))
            self.msgd.wait_for_ledger(name, datagrams=start + min(500, first + n - start) - 1)

    def test_drop_new_keeps_the_oldest(self):
        self.msgd.register("slow", mailbox_bytes=SMALL)
        self.fill("slow", 2000)
        ledger = self.msgd.ledger("slow")
        kept = ledger["queued"]
        self.assertEqual(ledger["dropped"]["mailbox_full"], 2000 - kept)
        self.assertEqual(kept, SMALL // 128)
        self.msgd.connections.pop().close()
        consumer = self.msgd.receive("slow")
        self.assertEqual(numbers(consumer.take(kept)), list(range(1, kept + 1)))

    def test_drop_old_keeps_the_newest(self):
        self.msgd.register("slow", mailbox_bytes=SMALL, when_full="drop-old")
        self.fill("slow", 2000)
        ledger = self.msgd.ledger("slow")
        kept = ledger["queued"]
        self.assertEqual(ledger["dropped"]["mailbox_full"], 2000 - kept)
        self.assertLessEqual(kept, SMALL // 128)
        self.assertGreater(kept, SMALL // 256)
        self.msgd.connections.pop().close()
        consumer = self.msgd.receive("slow")
        self.assertEqual(numbers(consumer.take(kept)), list(range(2001 - kept, 2001)))

    def test_drop_old_never_drops_what_a_consumer_has_taken(self):
        taker = self.msgd.spawn("drain", "slow", "--when-full", "drop-old", "--mailbox", str(SMALL), "--stop-after", "10",
                                "--hold", "--verify")
        taker.wait_for_stderr("attached")
        self.fill("slow", 10)
        taker.wait_for_lines(1)
        self.fill("slow", 1990, first=11)
        taker.kill()
        kept = self.msgd.wait_for_state("slow", "away")["ledger"]["queued"]
        messages = self.msgd.receive("slow").take(kept)
        self.assertEqual(numbers(messages)[:10], list(range(1, 11)))
        self.assertEqual([m["redelivered"] for m in messages[:11]], [True] * 10 + [False])
        self.assertEqual(numbers(messages)[-1], 2000)

    def test_gaps_in_seq_are_the_messages_that_were_dropped(self):
        self.msgd.register("slow", mailbox_bytes=SMALL, when_full="drop-old")
        self.fill("slow", 1500)
        self.msgd.connections.pop().close()
        first = self.msgd.receive("slow").take(1)[0]
        dropped = self.msgd.ledger("slow")["dropped"]["mailbox_full"]
        self.assertEqual(first["seq"], dropped + 1)

    def test_a_full_mailbox_takes_messages_again_once_there_is_room(self):
        consumer = self.msgd.receive("slow", ack="manual", window=2000, mailbox_bytes=SMALL)
        self.fill("slow", 1000)
        kept = self.msgd.ledger("slow")["queued"]
        consumer.ack(consumer.take(kept)[-1])
        self.msgd.wait_for_ledger("slow", queued=0)
        self.msgd.send("slow", numbered(1001, 10))
        self.assertEqual(numbers(consumer.take(10)), list(range(1001, 1011)))

    def test_a_drop_old_consumer_never_sees_a_torn_message(self):
        """It reads slowly while the mailbox overflows all the time."""
        for size in (64, 1500):
            name = f"torn{size}"
            drain = self.msgd.spawn("drain", name, "--when-full", "drop-old", "--mailbox", str(SMALL), "--verify",
                                    "--idle", "2000", "--release-every", "7")
            drain.wait_for_stderr("attached")
            flood = self.program([build_path("flood"), "127.0.0.1", self.msgd.endpoint(name)["port"], "--size", size,
                                  "--seconds", 20 if LONG else 3])
            self.assertEqual(flood.wait(60), 0)
            self.assertEqual(drain.wait(60), 0)
            seen = json.loads(drain.stdout)
            self.msgd.sent[name] += json.loads(flood.stdout)["sent"]
            self.assertEqual((seen["torn"], seen["out_of_order"], seen["repeated"]), (0, 0, 0))
            ledger = self.msgd.ledger(name)
            self.assertEqual(ledger["delivered"], seen["received"] - seen["received"] % 7)
            self.report(f"{size} B: received, dropped", (seen["received"], ledger["dropped"]["mailbox_full"]))

    def test_many_endpoints_of_one_consumer_overflow_without_tearing(self):
        drain = self.msgd.spawn("drain", "many", "--endpoints", "8", "--when-full", "drop-old", "--mailbox", str(SMALL),
                                "--verify", "--idle", "2000")
        drain.wait_for_stderr("registered 8")
        floods = [self.program([build_path("flood"), "127.0.0.1", self.msgd.endpoint(f"many-{i}")["port"],
                                "--size", 200, "--seconds", 2]) for i in range(8)]
        for i, flood in enumerate(floods):
            self.assertEqual(flood.wait(60), 0)
            self.msgd.sent[f"many-{i}"] += json.loads(flood.stdout)["sent"]
        self.assertEqual(drain.wait(60), 0)
        self.assertEqual(json.loads(drain.stdout)["torn"], 0)

    def test_the_mailbox_of_one_uid_is_bounded_over_all_its_endpoints(self):
        limited = self.start({"limits": {"mailbox_bytes_per_uid": 256 * 1024}})
        for i in range(4):
            limited.register(f"slow{i}", mailbox_bytes=128 * 1024)
        for i in range(4):
            limited.send(f"slow{i}", numbered(1, 1000))
            limited.wait_for_ledger(f"slow{i}", datagrams=1000)
        used = sum(limited.endpoint(f"slow{i}")["mailbox"]["used"] for i in range(4))
        self.assertLessEqual(used, 256 * 1024)
        last = limited.ledger("slow3")
        self.assertEqual((last["queued"], last["dropped"]["quota_exceeded"]), (0, 1000))
        limited.release("slow0")
        limited.send("slow3", numbered(1, 100))
        wait_until(lambda: limited.ledger("slow3")["queued"] == 100, 5, "room again")

    def test_what_a_consumer_released_in_silence_is_the_quotas_again(self):
        """Nothing more comes for it and nobody asks for its counters."""
        limited = self.start({"limits": {"mailbox_bytes_per_uid": 256 * 1024}})
        drain = limited.spawn("drain", "burst", "--mailbox", str(250 * 1024))
        drain.wait_for_stderr("attached")
        drain.send_signal(signal.SIGSTOP)
        limited.send("burst", numbered(1, 1950))
        limited.wait_for_ledger("burst", datagrams=1950)
        self.assertGreater(limited.endpoint("burst")["mailbox"]["used"], 240 * 1024)
        consumer = limited.receive("other", mailbox_bytes=128 * 1024)
        limited.send("other", ['"' + "x" * 60000 + '"'])
        limited.wait_for_ledger("other", quota_exceeded=1)
        drain.send_signal(signal.SIGCONT)

        def is_taken():
            limited.send("other", ['"' + "x" * 60000 + '"'])
            try:
                return consumer.take(1, 0.5)
            except TimeoutError:
                return None
        self.assertTrue(wait_until(is_taken, 10, "the quota to be free again"))

    def test_msgls_says_that_a_mailbox_is_full(self):
        self.msgd.register("slow", mailbox_bytes=SMALL)
        self.fill("slow", 1000)
        shown = self.msgd.tool("msgls", "slow", env={**os.environ, "MSGD_SOCKET": self.msgd.socket})
        self.assertEqual(shown.returncode, 0)
        self.assertRegex(shown.stdout, r"mailbox[_ ]full|mailbox (is|was) full")


main()
