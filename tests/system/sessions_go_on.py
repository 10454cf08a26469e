# SPDX-License-Identifier: MIT
"""Open sessions go on over an orderly restart; after a kill both sides are told."""

import json
import subprocess

from msgd_keeper import KeptDaemon
from msgd_test import Story, main, wait_until

N = 2000
PADDING = "x" * 200


class SessionsGoOn(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(kind=KeptDaemon)
        self.server = self.msgd.spawn("msgrecv", "talk", "--sessions", "--exec", "cat")
        self.server.wait_for_stderr("talk at ")
        self.addCleanup(self.server.kill)
        self.client = self.msgd.spawn("msgconnect", f"127.0.0.1:{self.msgd.endpoint('talk')['port']}", stdin=subprocess.PIPE)
        self.client.wait_for_stderr("session ")
        self.addCleanup(self.client.kill)

    def say(self, numbers):
        for n in numbers:
            self.client.process.stdin.write(json.dumps([n, PADDING]).encode() + b"\n")
        self.client.process.stdin.flush()

    def heard(self):
        return [json.loads(line)[0] for line in self.client.lines()]

    def check_end(self, n):
        self.client.process.stdin.close()
        self.assertEqual(self.client.wait(30), 0, self.client.stderr)
        self.assertEqual(self.heard(), list(range(n)), "each once, in order")

    def test_three_restarts_in_the_middle_of_a_conversation(self):
        for i in range(3):
            self.say(range(i * N, i * N + N))
            wait_until(lambda: len(self.client.lines()) > i * N + N // 10, 20, "some of it to come back")
            self.report("ready again after", f"{self.msgd.restart() * 1000:.0f} ms")
        self.check_end(3 * N)

    def test_what_is_said_while_msgd_is_away_arrives(self):
        self.say(range(10))
        self.client.wait_for_lines(10)
        self.msgd.program.hold()
        self.msgd.strike(15)
        self.say(range(10, 20))
        self.msgd.program.resume()
        self.msgd.program.wait_for("ready", 2)
        self.client.wait_for_lines(20)
        self.check_end(20)

    def test_after_a_kill_the_client_is_told(self):
        self.say(range(10))
        self.client.wait_for_lines(10)
        self.msgd.kill()
        self.assertNotEqual(self.client.wait(20), 0)
        self.assertIn("msgconnect: ", self.client.stderr)
        self.msgd.sent.clear()


main()
