# SPDX-License-Identifier: MIT
"""10,000 endpoints: registered fast, small in memory before and after a message to each of them many times."""

import json
import re
import resource
import socket

from msgd_test import IS_INSTRUMENTED, LONG, Story, main, n_descriptors, rss_kib, wait_until

N = 1000 if IS_INSTRUMENTED else 10000
ROUNDS = 100 if LONG else 10
MOST_KIB = 48 * 1024


class TenThousand(Story):
    def ledgers(self):
        return [e["ledger"] for e in self.msgd.call("List")["endpoints"]]

    def total(self, key):
        return sum(ledger[key] for ledger in self.ledgers())

    def expect_small(self, when):
        kib = rss_kib(self.msgd.pid)
        self.report(f"KiB resident {when}", kib)
        if not IS_INSTRUMENTED:
            self.assertLessEqual(kib, MOST_KIB)

    def test_every_message_reaches_its_endpoint_and_memory_stays_small(self):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20000:
            self.skipTest("needs a descriptor limit of 20,000")
        self.msgd = self.start(max_descriptors=20000)
        drain = self.msgd.spawn("drain", "e", "--endpoints", N, "--verify")
        drain.wait_for_stderr(f"registered {N}", 60)
        self.report("registering", re.search(r"registered .*", drain.stderr)[0])
        ports = [int(p) for p in re.findall(r"^attached \S+ (\d+)", drain.stderr, re.M)]
        self.assertEqual(len(set(ports)), N)
        self.assertLessEqual(n_descriptors(self.msgd.pid), 1.2 * N + 50)
        self.expect_small("after registering")
        self.send_rounds(ports)
        self.assertEqual(self.total("received"), N * ROUNDS)
        wait_until(lambda: self.total("delivered") == N * ROUNDS, 10, "everything to be released")
        self.expect_small("after the messages")
        self.assertEqual(drain.stop(), 0)
        seen = json.loads(drain.stdout)
        self.assertEqual((seen["received"], seen["torn"]), (N * ROUNDS, 0))

    def send_rounds(self, ports):
        """One datagram to each endpoint, round after round; each endpoint's buffer holds many rounds."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for n in range(1, ROUNDS + 1):
                payload = b'{"n":%d,"pad":"xxxxxxxxxxxxxxxxxxx"}' % n
                for port in ports:
                    s.sendto(payload, ("127.0.0.1", port))
                if n % 10 == 0:
                    wait_until(lambda n=n: self.total("datagrams") == n * N, 60, f"{n} rounds to be read")


main()
