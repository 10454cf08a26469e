# SPDX-License-Identifier: MIT
"""The store by itself: what is put on disk, each message synced, in rows as they come and one a row, in one interleaved run."""

import json

import msgd_test

SIZES = {"tiny": (20000, 1, 2000), "quick": (500000, 3, 1000000), "whole": (2000000, 5, 1000000)}


def measure(_msgd, folder, is_quick, is_tiny):
    count, rounds, left = SIZES["tiny" if is_tiny else "quick" if is_quick else "whole"]
    result = msgd_test.run([msgd_test.build_path("store_bench"), folder, count, rounds, left], timeout=600)
    assert result.returncode == 0, result.stderr
    return {"messages": count, "left": left, **json.loads(result.stdout)}


def lines(figures):
    yield "store: messages of 256 B a second, synced; medians"
    yield f"    {'':20}{'put on disk':>14}{'read, released':>16}"
    yield f"    {'rows as they come':20}{figures['append_grouped']:>14,}{figures['drain_grouped']:>16,}"
    yield f"    {'one message a row':20}{figures['append_rows']:>14,}{figures['drain_rows']:>16,}"
    yield f"    20,000 rows of one message released at once: {figures['trim_ms']} ms"
    yield (f"    restart with {figures['left']:,} messages, until the first ones are read: {figures['restart_ms']} ms"
           f" (one a row: {figures['restart_rows_ms']} ms)")
