# SPDX-License-Identifier: MIT
"""10,000 endpoints: registered fast, small in memory before and after a message to each of them many times."""

import resource

from msgd_load import many_endpoints
from msgd_test import IS_INSTRUMENTED, LONG, Story, main

N = 1000 if IS_INSTRUMENTED else 10000
ROUNDS = 100 if LONG else 10
MOST_KIB = 48 * 1024


class TenThousand(Story):
    def test_every_message_reaches_its_endpoint_and_memory_stays_small(self):
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 20000:
            self.skipTest("needs a descriptor limit of 20,000")
        figures = many_endpoints(self.start("{}", max_descriptors=20000), N, ROUNDS)
        self.report("figures", figures)
        self.assertEqual((figures["delivered"], figures["torn"]), (N * ROUNDS, 0))
        self.assertLessEqual(figures["descriptors"], 1.2 * N + 50)
        if not IS_INSTRUMENTED:
            self.assertLessEqual(figures["rss_registered_kib"], MOST_KIB)
            self.assertLessEqual(figures["rss_after_kib"], MOST_KIB)


main()
