# SPDX-License-Identifier: MIT
"""At rest: at most 10 MiB resident, at most one clock tick of CPU in a minute (10 s in the quick form)."""

import time

from msgd_test import IS_INSTRUMENTED, LONG, Story, cpu_ticks, main, rss_kib


class AtRest(Story):
    def watch(self, pid):
        before = cpu_ticks(pid)
        time.sleep(60 if LONG else 10)
        return cpu_ticks(pid) - before

    def test_a_daemon_with_nothing_to_do_does_nothing(self):
        msgd = self.start()
        consumer = msgd.receive("thermo")
        drain = msgd.spawn("drain", "other")
        drain.wait_for_stderr("attached")
        msgd.send("thermo", ["1"])
        consumer.take(1)
        time.sleep(1)  # what follows a message has its time to settle
        ticks = self.watch(msgd.pid)
        self.report("ticks, KiB resident", (ticks, rss_kib(msgd.pid)))
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has other figures")
        self.assertLessEqual(ticks, 1)
        self.assertLessEqual(rss_kib(msgd.pid), 10 * 1024)


main()
