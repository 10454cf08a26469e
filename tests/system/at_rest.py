# SPDX-License-Identifier: MIT
"""At rest: at most 10 MiB resident, at most one clock tick of CPU in a minute (10 s in the quick form)."""

from msgd_keeper import KeptDaemon
from msgd_load import at_rest
from msgd_test import IS_INSTRUMENTED, LONG, Story, main, rss_kib


class AtRest(Story):
    def test_a_daemon_with_nothing_to_do_does_nothing(self):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has other figures")
        figures = at_rest(self.start(), 60 if LONG else 10)
        self.report("figures", figures)
        self.assertLessEqual(figures["ticks"], 1)
        self.assertLessEqual(figures["rss_kib"], 10 * 1024)

    def test_one_that_took_over_has_no_more_memory_than_the_first(self):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has other figures")
        msgd = self.start(kind=KeptDaemon)
        msgd.call("Register", name="thermo", port=0, lease_s=-1)
        for end in (msgd.kill, msgd.restart):
            end()
            msgd.wait_for_state("thermo", "away")
            self.report("KiB resident after the next one took over", rss_kib(msgd.pid))
            self.assertLessEqual(rss_kib(msgd.pid), 10 * 1024)


main()
