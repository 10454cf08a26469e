# SPDX-License-Identifier: MIT
"""Many sessions: one after the other, which leaves nothing behind, and all at once, which loses nothing."""

from msgd_load import all_at_once, open_and_close
from msgd_test import IS_INSTRUMENTED, LONG, Story, main

N_CYCLES, N_AT_ONCE = (10000, 1000) if LONG else (100, 50) if IS_INSTRUMENTED else (1000, 300)


class ManySessions(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(max_descriptors=20000)

    def test_opening_and_closing_leaves_nothing_behind(self):
        figures = open_and_close(self.msgd, N_CYCLES, 50)
        self.assertEqual(figures["complaints"], "")
        self.assertEqual((figures["completed"], figures["again_completed"]), (N_CYCLES, N_CYCLES))
        self.report("sessions a second", round(figures["rate"]))
        self.report("KiB of the daemon before, after, after as many again",
                    [figures[key] for key in ("before_kib", "after_kib", "again_kib")])
        if not IS_INSTRUMENTED:
            self.assertLess(figures["after_kib"] - figures["before_kib"], 16 << 10)

    def test_all_at_once_nothing_is_lost(self):
        figures = all_at_once(self.msgd, N_AT_ONCE, 100, 256)
        self.assertEqual(figures["complaints"], "")
        self.assertEqual((figures["at_once"], figures["completed"]), (N_AT_ONCE, N_AT_ONCE))
        self.assertEqual((figures["came_back"], figures["wrong"]), (figures["sent"], 0))
        self.report("seconds", round(figures["seconds"], 1))


main()
