# SPDX-License-Identifier: MIT
"""How long nobody reads where msgd is killed or restarted: from the signal until every socket is read again."""

import pathlib
import signal
import statistics
import tempfile
import time

from msgd_keeper import KeptDaemon
from msgd_load import register_many

AT_MOST_MS = 150
WAYS = (("kill -9", signal.SIGKILL), ("restart", signal.SIGTERM))


def _outage_ms(msgd, number):
    """msgd: a KeptDaemon (tests/support/msgd_keeper.py). Its successor says READY=1 once it reads every socket."""
    start = time.monotonic()
    n_ready = len(msgd.program.events("ready"))
    msgd.strike(number)
    return (msgd.program.wait_for("ready", n_ready + 1, 20)["time"] - start) * 1000


def _on_processor_ms(msgd):
    """What the main thread of the new one has used: on a machine that others keep busy the rest is waiting for it."""
    return int(pathlib.Path(f"/proc/{msgd.pid}/schedstat").read_text().split()[0]) / 1e6


def measure(_msgd, folder, is_quick, is_tiny=False):
    times = 2 if is_tiny else 5 if is_quick else 20
    cells = []
    for n in (1, 100 if is_tiny else 10000):
        msgd = KeptDaemon(tempfile.mkdtemp(dir=folder), "{}", max_descriptors=20000)
        try:
            register_many(msgd, n)
            for way, number in WAYS:
                seen = [(_outage_ms(msgd, number), _on_processor_ms(msgd)) for _ in range(times)]
                cells.append({"endpoints": n, "way": way, "times": times, "most_ms": max(outage for outage, _ in seen),
                              "median_ms": statistics.median(outage for outage, _ in seen),
                              "on_processor_ms": statistics.median(cpu for _, cpu in seen)})
        finally:
            msgd.finish()
    return {"cells": cells}


def lines(figures):
    """The figures as a table, each with its bound."""
    yield f"restarts: from the signal until every socket is read again, ms{'median':>14}{'most':>8}{'at most':>10}{'on the processor':>18}"
    for cell in figures["cells"]:
        what = f"{cell['endpoints']:,} endpoints, {cell['way']}, {cell['times']} times"
        yield f"    {what:58}{cell['median_ms']:>14.0f}{cell['most_ms']:>8.0f}{AT_MOST_MS:>10}{cell['on_processor_ms']:>18.0f}"
