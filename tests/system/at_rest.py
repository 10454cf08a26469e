# SPDX-License-Identifier: MIT
"""At rest: at most 10 MiB resident, at most one clock tick of CPU in a minute (10 s in the quick form)."""

from msgd_load import at_rest
from msgd_test import IS_INSTRUMENTED, LONG, Story, main


class AtRest(Story):
    def test_a_daemon_with_nothing_to_do_does_nothing(self):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has other figures")
        figures = at_rest(self.start(), 60 if LONG else 10)
        self.report("figures", figures)
        self.assertLessEqual(figures["ticks"], 1)
        self.assertLessEqual(figures["rss_kib"], 10 * 1024)


main()
