# SPDX-License-Identifier: MIT
"""What stands in docs/examples works as it stands there."""

import os
import sys

from msgd_test import BUILD, SOURCE, WRAPPER, Story, main, run

EXAMPLES = SOURCE / "docs/examples"


class Examples(Story):
    def test_receive_py_is_a_consumer_with_nothing_but_the_standard_library(self):
        msgd = self.start()
        example = self.program([sys.executable, "-u", EXAMPLES / "receive.py", "thermo"],
                               env={**os.environ, "MSGD_SOCKET": msgd.socket})
        msgd.wait_for_state("thermo", "attached")
        msgd.send("thermo", ['{"temp": 21.5}', '{"temp": "ü"}'])
        lines = example.wait_for_lines(2)
        self.assertIn("21.5", lines[0])
        self.assertIn("ü", lines[1])

    def test_the_tour_goes_to_its_end(self):
        if WRAPPER:
            self.skipTest("the tour starts its daemon by itself")
        bin_folder = os.path.join(self.folder, "bin")
        os.mkdir(bin_folder)
        for folder, names in (("daemon", ["msgd"]), ("tools", ["msgsend", "msgrecv", "msgls", "msgtap", "msgctl"])):
            for name in names:
                os.symlink(BUILD / folder / name, os.path.join(bin_folder, name))
        result = run([EXAMPLES / "tour.sh", bin_folder], timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("HELLO", result.stdout)


main()
