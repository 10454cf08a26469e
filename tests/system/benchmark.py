# SPDX-License-Identifier: MIT
"""bench/run prints figures for everything that it names. The figures decide nothing here."""

import json
import os
import sys
import xml.etree.ElementTree

from msgd_test import BUILD, IS_INSTRUMENTED, SOURCE, Story, main, run


class Benchmark(Story):
    def figures(self, *arguments):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has no figures worth printing")
        result = run([sys.executable, "-B", SOURCE / "bench/run", "--build", BUILD, "--json", *arguments], timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_the_tiny_form_has_every_figure_that_is_promised(self):
        figures = self.figures("--tiny", "rates", "cpu", "latency", "endpoints", "workers")
        for name in ("ratio.plain_256", "ratio.offload_256", "rate.batch_256", "ratio.cpu_plain", "ratio.latency_p50", "ratio.latency_p99",
                     "ratio.latency_paced_p50", "ratio.endpoints_10000", "ratio.workers_2"):
            self.report(name, figures[name])
            self.assertGreater(figures[name], 0)

    def test_the_tiny_form_of_an_overload_accounts_for_every_message(self):
        rows = self.figures("--tiny", "overload")["overload"]["rows"]
        self.assertGreater(rows["msgd"]["received"], 0)

    def test_a_picture_is_drawn(self):
        path = os.path.join(self.folder, "picture.svg")
        self.figures("--tiny", "--picture", path, "latency")
        self.assertEqual(xml.etree.ElementTree.parse(path).getroot().tag, "{http://www.w3.org/2000/svg}svg")

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
