# SPDX-License-Identifier: MIT
"""Bursts: the ledger is exact to the last datagram, also for those that the kernel dropped."""

import json
import os
import re
import signal

from msgd_test import IS_INSTRUMENTED, LONG, Story, build_path, main, send_udp, wait_until

MANY = 20000 if IS_INSTRUMENTED else 1000000 if LONG else 200000


class Bursts(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def flood(self, name, *arguments, address="127.0.0.1"):
        program = self.program([build_path("flood"), address, self.msgd.endpoint(name)["port"], *arguments])
        self.assertEqual(program.wait(120), 0, program.stderr)
        sent = json.loads(program.stdout)["sent"]
        self.msgd.sent[name] += sent
        return sent

    def expect_exact(self, name):
        """Every datagram that was sent is accounted for."""
        self.msgd.check_sent(name)
        ledger = self.msgd.ledger(name)
        self.assertIs(ledger["kernel_dropped_exact"], True)
        self.report(name, {k: ledger[k] for k in ("datagrams", "kernel_dropped", "delivered", "queued", "dropped")})
        return ledger

    def test_a_consumer_that_stops_reading_loses_nothing_without_a_trace(self):
        for when_full in ("drop-new", "drop-old"):
            with self.subTest(when_full):
                drain = self.msgd.spawn("drain", when_full, "--stop-after", "1000", "--when-full", when_full, "--verify")
                drain.wait_for_stderr("attached")
                self.flood(when_full, "--count", MANY, "--how", "one")
                ledger = self.expect_exact(when_full)
                self.assertGreater(ledger["dropped"]["mailbox_full"], 0)
                self.assertLessEqual(self.msgd.endpoint(when_full)["mailbox"]["used"], 1 << 20)
                drain.kill()

    def test_what_the_kernel_drops_is_counted_exactly(self):
        self.msgd.register("small", receive_buffer_bytes=8192)
        self.flood("small", "--count", MANY // 4, "--how", "many")
        self.assertGreater(self.expect_exact("small")["kernel_dropped"], 0)

    def test_what_one_turn_leaves_is_read_though_nothing_more_comes(self):
        port = self.msgd.register("waiting", receive_buffer_bytes=4 << 20)[1]["port"]
        os.kill(self.msgd.pid, signal.SIGSTOP)
        self.msgd.sent["waiting"] = send_udp("127.0.0.1", port, ["1"] * 3000)
        os.kill(self.msgd.pid, signal.SIGCONT)
        self.expect_exact("waiting")

    def test_what_gathers_before_it_is_read_is_all_there(self):
        for coalesce_us in (0, 1000):
            with self.subTest(coalesce_us=coalesce_us):
                self.msgd = self.start({"coalesce_us": coalesce_us})
                progress = f"{self.msgd.folder}/progress"
                drain = self.msgd.spawn("drain", "steady", "--count", MANY, "--verify", "--progress", progress)
                drain.wait_for_stderr("attached")
                self.flood("steady", "--count", MANY, "--window", "512", "--progress", progress)
                self.assertEqual(drain.wait(60), 0, drain.stderr)
                self.assertEqual(self.expect_exact("steady")["delivered"], MANY)
                coalesced = self.counter("reads_coalesced_total")
                self.report("reads coalesced", coalesced)
                if coalesce_us == 0:
                    self.assertEqual(coalesced, 0)

    def counter(self, name):
        return int(re.search(rf"^msgd_{name} (\d+)$", self.msgd.call("Metrics")["text"], re.M)[1])

    def send_regularly(self, until, percent):
        """200 datagrams a second, to a daemon that may use that much of a core to be awake for them."""
        self.msgd = self.start({"anticipate_percent": percent})
        drain = self.msgd.spawn("drain", "regular", "--verify")
        drain.wait_for_stderr("attached")
        flood = self.program([build_path("flood"), "127.0.0.1", self.msgd.endpoint("regular")["port"], "--rate", 200, "--seconds", 60])
        wait_until(until, 30, "enough to have come")
        self.assertEqual(flood.stop(), 0, flood.stderr)
        self.msgd.sent["regular"] = json.loads(flood.stdout)["sent"]
        self.expect_exact("regular")
        self.assertEqual(drain.stop(), 0, drain.stderr)
        seen = json.loads(drain.stdout)
        self.assertEqual((seen["torn"], seen["gaps"]), (0, 0))

    def test_a_worker_is_awake_for_what_comes_regularly(self):
        self.send_regularly(lambda: self.counter("reads_anticipated_total") > 0, 100)
        self.assertGreater(self.counter("anticipation_microseconds_total"), 0)

    def test_a_worker_without_a_share_for_it_is_awake_for_nothing(self):
        self.send_regularly(lambda: self.msgd.ledger("regular")["received"] >= 100, 0)
        self.assertEqual(self.counter("reads_anticipated_total"), 0)

    def test_both_sockets_of_a_wildcard_count_into_one_ledger(self):
        self.msgd.register("both", address="*", receive_buffer_bytes=8192)
        self.flood("both", "--count", MANY // 8)
        self.flood("both", "--count", MANY // 8, address="::1")
        self.expect_exact("both")

    def test_offload_senders_are_read_whole_while_the_buffer_holds(self):
        drain = self.msgd.spawn("drain", "offload", "--verify", "--progress", f"{self.folder}/p", "--mailbox", str(16 << 20))
        drain.wait_for_stderr("attached")
        sent = self.flood("offload", "--count", MANY, "--how", "offload", "--window", 1024, "--progress", f"{self.folder}/p")
        ledger = self.expect_exact("offload")
        self.assertEqual((ledger["datagrams"], ledger["kernel_dropped"]), (sent, 0))
        self.msgd.wait_for_ledger("offload", delivered=sent, queued=0)
        self.assertEqual(drain.stop(), 0)
        seen = json.loads(drain.stdout)
        self.assertEqual((seen["received"], seen["torn"], seen["gaps"]), (sent, 0, 0))

    def test_drops_of_offload_senders_are_not_called_exact(self):
        """A merged super-packet that is dropped counts once: the counter is too low, and says so."""
        self.msgd.register("merged", receive_buffer_bytes=262144)
        sent = self.flood("merged", "--count", MANY, "--how", "offload")
        self.msgd.check_laws()
        ledger = self.msgd.ledger("merged")
        self.report("merged", {k: ledger[k] for k in ("datagrams", "kernel_dropped", "kernel_dropped_exact")})
        if ledger["kernel_dropped"]:
            self.assertIs(ledger["kernel_dropped_exact"], False)
            self.assertLessEqual(ledger["datagrams"] + ledger["kernel_dropped"], sent)
        else:
            self.assertEqual(ledger["datagrams"], sent)

    def test_without_gro_drops_of_offload_senders_are_exact(self):
        self.msgd.register("split", receive_buffer_bytes=65536, gro=False)
        self.flood("split", "--count", MANY // 4, "--how", "offload")
        self.expect_exact("split")


main()
