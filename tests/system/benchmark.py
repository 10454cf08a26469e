# SPDX-License-Identifier: MIT
"""bench/run prints figures for everything that it names. The figures decide nothing here."""

import json
import sys

from msgd_test import BUILD, IS_INSTRUMENTED, SOURCE, Story, main, run


class Benchmark(Story):
    def figures(self, *arguments):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has no figures worth printing")
        result = run([sys.executable, "-B", SOURCE / "bench/run", "--build", BUILD, "--json", *arguments], timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_the_quick_form_prints_a_ratio_for_plain_and_offload(self):
        figures = self.figures("--quick", "plain", "offload")
        for name in ("plain", "offload"):
            self.report(name, {key: figures[name][key] for key in ("ratio", "bare", "msgd")})
            self.assertGreater(figures[name]["ratio"], 0)

    def test_the_tiny_form_of_acknowledged_messages_has_every_cell(self):
        for cell in self.figures("--tiny", "acks")["acks"]["cells"]:
            self.report(f"{cell['wish']}, {cell['window']} under way", {key: cell[key] for key in ("rate", "p50_us", "p99_us")})
            self.assertGreater(cell["rate"], 0)

    def test_the_tiny_form_of_the_store_has_every_figure(self):
        figures = self.figures("--tiny", "store")["store"]
        for name in ("append_grouped", "append_rows", "drain_grouped", "drain_rows", "trim_ms", "restart_ms", "restart_rows_ms"):
            self.report(name, figures[name])
            self.assertGreater(figures[name], 0)

    def test_the_tiny_form_of_restarts_has_every_cell(self):
        cells = self.figures("--tiny", "restarts")["restarts"]["cells"]
        self.assertEqual(len(cells), 4)
        for cell in cells:
            self.report(f"{cell['endpoints']} endpoints, {cell['way']}", f"{cell['most_ms']:.0f} ms")
            self.assertGreater(cell["median_ms"], 0)

    def test_the_tiny_form_of_sessions_has_every_cell(self):
        figures = self.figures("--tiny", "sessions")["sessions"]
        self.assertEqual(len(figures["goodput"]), 8)
        for cell in figures["goodput"]:
            self.report(f"{cell['size']} B, {cell['path']}", {key: cell[key] for key in ("msgd", "enet", "ratio")})
            if cell["path"] in ("loopback", "proxy"):  # a short time on a bad network may see nothing arrive
                self.assertGreater(cell["msgd"], 0)
        self.assertEqual(figures["open_and_close"]["completed"], figures["open_and_close"]["sessions"])
        self.assertEqual(figures["all_at_once"]["came_back"], figures["all_at_once"]["sent"])


main()
