# SPDX-License-Identifier: MIT
"""bench/run prints figures for everything that it names. The figures decide nothing here."""

import json
import sys

from msgd_test import BUILD, IS_INSTRUMENTED, SOURCE, Story, main, run


class Benchmark(Story):
    def test_the_quick_form_prints_a_ratio_for_plain_and_offload(self):
        if IS_INSTRUMENTED:
            self.skipTest("an instrumented build has no figures worth printing")
        result = run([sys.executable, "-B", SOURCE / "bench/run", "--build", BUILD, "--quick", "--json", "plain", "offload"],
                     timeout=120)
        self.assertEqual(result.returncode, 0, result.stderr)
        figures = json.loads(result.stdout)
        for name in ("plain", "offload"):
            self.report(name, {key: figures[name][key] for key in ("ratio", "bare", "msgd")})
            self.assertGreater(figures[name]["ratio"], 0)


main()
