# SPDX-License-Identifier: MIT
"""No descriptors left: what asks for one fails with a clear error, what exists goes on."""

import time

from msgd_test import (SLOWNESS, Closed, Connection, Story, VarlinkError, build_path, cpu_ticks, main, n_descriptors,
                       run, send_udp, wait_until)

LIMIT = 64


class NoDescriptors(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(max_descriptors=LIMIT)
        self.consumer = self.msgd.receive("thermo")

    def expect_flow(self, n=100):
        """Datagrams of the endpoint that exists still arrive."""
        for i in range(n):
            self.msgd.sent["thermo"] += send_udp("127.0.0.1", self.consumer.port, [str(i)])
        self.assertEqual(self.consumer.payloads(n), [str(i) for i in range(n)])

    def test_registering_fails_with_try_again_and_the_rest_goes_on(self):
        before = n_descriptors(self.msgd.pid)
        connection = self.msgd.connect()
        for i in range(LIMIT):
            try:
                connection.call("Register", name=f"n{i}", lease_s=0)
            except VarlinkError as error:
                self.assertEqual(error.name, "TryAgain")
                self.assertIn("Too many open files", error.parameters["reason"])
                break
        else:
            self.fail(f"{LIMIT} endpoints within {LIMIT} descriptors")
        self.assertGreater(i, LIMIT // 3)
        self.expect_flow()
        self.fails("TryAgain", connection.call, "Attach", name="n0")
        self.expect_flow()
        connection.close()
        wait_until(lambda: n_descriptors(self.msgd.pid) <= before, 5, "descriptors to be free again")
        self.msgd.register("again")

    def test_connections_wait_or_are_refused_and_the_rest_goes_on(self):
        held = []
        try:
            for _ in range(LIMIT + 20):
                held.append(Connection(self.msgd.socket, timeout=2))
            self.expect_flow()
            answered = 0
            for c in held:
                try:
                    c.socket.settimeout(0.2)
                    answered += c.call("GetInfo")["pid"] == self.msgd.pid
                except (OSError, Closed):
                    pass
            self.assertGreater(answered, LIMIT // 2)
            self.expect_flow()
        finally:
            for c in held:
                c.close()
        wait_until(self.msgd.answers, 10, "msgd to answer again")

    def test_it_does_not_spin_while_it_has_none(self):
        held = [Connection(self.msgd.socket) for _ in range(LIMIT + 10)]
        before = cpu_ticks(self.msgd.pid)
        self.expect_flow(20)
        time.sleep(1)
        ticks = cpu_ticks(self.msgd.pid) - before
        for c in held:
            c.close()
        wait_until(self.answers)
        self.assertLess(ticks, 50 * SLOWNESS)

    def answers(self):
        """False while those that hung up still count."""
        try:
            return self.msgd.call("GetInfo")
        except (Closed, OSError):
            return False

    def test_a_limit_too_small_to_start_is_a_clear_error(self):
        result = run(["prlimit", "--nofile=8", build_path("msgd"), "--socket", f"{self.folder}/s", "--state", self.folder,
                      "--config", str(self.msgd.config_path)])
        self.assertIn(result.returncode, (71, 75), result.stderr)
        self.assertRegex(result.stderr, "descriptor|Too many open files")


main()
