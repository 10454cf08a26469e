# SPDX-License-Identifier: MIT
"""
Each allocation of msgd, libmsgd and jansson fails in turn, over start, register, 1,000 datagrams, stop.
Nothing crashes, and under AddressSanitizer nothing leaks. The quick form strides.
"""

import json
import os
import pathlib
import signal
import subprocess

from msgd_process import complaint_in
from msgd_test import (IS_INSTRUMENTED, LONG, SANITIZER, SLOWNESS, SOURCE, WRAPPER, Connection, Program, Story, build_path, main,
                       numbered, send_udp, wait_until)

N_DATAGRAMS = 1000
# Endings that are an answer to having no memory.
ORDERLY = {0, 1, 64, 69, 70, 71, 75, 78}


class AllocationFailures(Story):
    def setUp(self):
        super().setUp()
        if "thread" in SANITIZER or WRAPPER:
            self.skipTest("failing allocations is for the plain and the asan build")
        self.config = pathlib.Path(self.folder) / "msgd.json"
        self.config.write_text(json.dumps({"endpoints": [{"name": "static", "port": 0, "allow": ["127.0.0.0/8"]}],
                                           "policy": [{"names": ["x-*"], "ports": "7000-7099"}]}))
        self.socket = os.path.join(self.folder, "msgd.sock")

    def environment(self, n, report):
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        return {**os.environ, "LD_PRELOAD": build_path("libfailalloc.so"), "FAILALLOC_AT": str(n),
                "FAILALLOC_REPORT": report, "MSGD_SOCKET": self.socket,
                "LSAN_OPTIONS": f"print_suppressions=0:suppressions={SOURCE}/tests/support/failalloc.supp",
                "ASAN_OPTIONS": sanitizer + ":verify_asan_link_order=0:fast_unwind_on_malloc=0:allocator_may_return_null=1"}

    def was_injected(self, report):
        try:
            return "failed" in pathlib.Path(report).read_text()
        except OSError:
            return True  # it ended without a report: only a crash or a kill does

    def in_turn(self, run_once, stride):
        """Runs with the n-th allocation failing, for each n, until a run needs no more than that."""
        n = runs = 1
        while run_once(n):
            n += stride
            runs += 1
            if n > 1000000:
                self.fail("a million allocations and no end")
        self.report("runs, allocations", (runs, n))

    def expect_orderly(self, program, n):
        try:
            status = program.wait(30)
        except AssertionError as error:
            raise AssertionError(f"allocation {n}: {error}") from None
        self.assertIn(status, ORDERLY, f"allocation {n}: {program.name} ended with {status}: {program.stderr[-3000:]}")
        self.assertIsNone(complaint_in(program.stderr), f"allocation {n}: {program.stderr[-3000:]}")

    def one_daemon(self, n):
        report = f"{self.folder}/report"
        pathlib.Path(report).unlink(missing_ok=True)
        daemon = Program([build_path("msgd"), "--socket", self.socket, "--state", self.folder, "--config", self.config],
                         self.folder, env=self.environment(n, report))
        try:
            wait_until(lambda: "serves" in daemon.stderr or not daemon.is_running(), 10, "msgd to serve")
            if daemon.is_running():
                self.use(n)
                daemon.send_signal(signal.SIGTERM)
            self.expect_orderly(daemon, n)
        finally:
            daemon.kill()
            pathlib.Path(self.socket).unlink(missing_ok=True)
        return self.was_injected(report)

    def use(self, n):
        """What a client and a sender do; any of it may fail, all of it must end."""
        try:
            with Connection(self.socket, timeout=3 * SLOWNESS) as c:
                c.send("Register", {"name": "thermo", "mailbox_bytes": 4 << 20})
                port = c.receive()["port"]
                c.send("Attach", {"name": "thermo"})
                c.receive()
                for descriptor in c.descriptors:
                    os.close(descriptor)
                send_udp("127.0.0.1", port, [*numbered(1, N_DATAGRAMS - 5), "bad", b"\x1e", "3", "4", "5"])
                self.look(n)
        except Exception:  # every refusal is an answer; how the daemon ends is what counts
            pass
        self.receive()

    def receive(self):
        try:
            with Connection(self.socket, timeout=3 * SLOWNESS) as c:
                c.stream("Receive", name="thermo", ack="manual", window=100)
                message = c.receive(1 * SLOWNESS)
                c.oneway("Reply", name="thermo", generation=message["generation"], seq=message["seq"], payload="1")
                c.oneway("Ack", name="thermo", generation=message["generation"], seq=message["seq"])
                c.receive(1 * SLOWNESS)
        except Exception:  # as above
            pass

    def look(self, n):
        for method, parameters in (("List", {}), ("Metrics", {}), ("Quarantine", {"payload": True}), ("GetInfo", {}),
                                   ("QuarantineReplay", {}), ("Reload", {}), ("Resolve", {"name": "thermo"})):
            with Connection(self.socket, timeout=3 * SLOWNESS) as c:
                c.send(method, parameters)
                c.receive_frame()

    def test_the_daemon_survives_each_allocation_that_fails(self):
        self.in_turn(self.one_daemon, 1 if LONG else 13 if IS_INSTRUMENTED else 7)

    def test_a_consumer_on_libmsgd_survives_each_allocation_that_fails(self):
        msgd = self.start()
        self.socket = msgd.socket
        feed = msgd.register("feed", lease_s=-1, mailbox_bytes=16 << 20)
        feed[0].close()
        msgd.wait_for_state("feed", "away")

        def one_consumer(n):
            report = f"{self.folder}/report"
            pathlib.Path(report).unlink(missing_ok=True)
            wait_until(lambda: msgd.endpoint("feed")["state"] == "away", 5, "the consumer before to be gone")
            if msgd.ledger("feed")["queued"] < 100:
                msgd.send("feed", numbered(1, N_DATAGRAMS))
            consumer = Program([build_path("drain"), "feed", "--count", "100", "--lease", "forever", "--verify"], self.folder,
                               env=self.environment(n, report))
            self.addCleanup(consumer.kill)
            self.expect_orderly(consumer, n)
            return self.was_injected(report)

        self.in_turn(one_consumer, 1 if LONG else 7 if IS_INSTRUMENTED else 3)

    def test_each_tool_survives_each_allocation_that_fails(self):
        msgd = self.start()
        self.socket = msgd.socket
        msgd.register("thermo")
        msgd.send("thermo", ["1", "bad"])
        for command in (["msgls"], ["msgls", "thermo"], ["msgls", "--json"], ["msgsend", "thermo", "1"],
                        ["msgctl", "quarantine", "list"], ["msgctl", "metrics"]):
            def one_tool(n, command=command):
                report = f"{self.folder}/report"
                pathlib.Path(report).unlink(missing_ok=True)
                program = Program([build_path(command[0]), *command[1:]], self.folder, env=self.environment(n, report),
                                  stdin=subprocess.DEVNULL)
                self.addCleanup(program.kill)
                self.expect_orderly(program, n)
                return self.was_injected(report)

            with self.subTest(" ".join(command)):
                self.in_turn(one_tool, 1 if LONG else 29 if IS_INSTRUMENTED else 11)
        msgd.sent.pop("thermo")


main()
