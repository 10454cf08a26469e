# SPDX-License-Identifier: MIT
"""tests/support/proxy.c as stories and benchmarks use it: a bad network in front of a port."""

import json
import re
import signal

from msgd_process import Program, build_path


class Proxy:
    """
    Proxy(folder, "127.0.0.1:7000", loss=20, reorder="10:64") listens at proxy.port of 127.0.0.2 and forwards
    to the target. first, last: also those ports, one to one, for sessions on ports of their own.
    """

    def __init__(self, folder, target, address="127.0.0.2", ports=None, **impairments):
        options = [word for key, value in impairments.items() for word in (f"--{key}", value)]
        if ports:
            options += ["--range", f"{ports[0]}-{ports[1]}"]
        self.address = address
        self.program = Program([build_path("proxy"), *options, f"{address}:0", target], folder)
        self.program.wait_for_stderr("port ")
        self.port = int(re.search(r"port (\d+)", self.program.stderr)[1])

    def rebind(self):
        """Every client goes on from another port, as behind a router that forgot about it."""
        self.program.send_signal(signal.SIGUSR1)

    def stop(self):
        """Ends it, checks that everything is accounted for, and returns its counts."""
        status = self.program.stop()
        assert status == 0, f"the proxy ended with {status}: {self.program.stderr}"
        counts = json.loads(self.program.stdout)
        for way in ("to_target", "to_client"):
            c = counts[way]
            came, went = c["in"] + c["duplicated"], sum(
                c[key] for key in ("lost", "too_large", "overflowed", "out", "waiting"))
            assert came == went, f"the proxy lost count {way}: {c}"
        return counts

    def close(self):
        self.program.kill()
