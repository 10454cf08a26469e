# SPDX-License-Identifier: MIT
"""Two busy endpoints on one worker, and on two."""

import json
import re
import statistics
import tempfile

import contenders
import msgd_test
from msgd_process import Program, build_path, wait_until

SIZE, WINDOW = 256, 512


def start(folder, msgd, name, count):
    progress = f"{folder}/{name}-progress"
    consumer = msgd.spawn("drain", name, "--count", count, "--progress", progress, "--mailbox", 16 << 20)
    consumer.wait_for_stderr("attached")
    port = re.search(r"attached \S+ (\d+)", consumer.stderr)[1]
    sender = Program([build_path("flood"), "127.0.0.1", port, "--count", count, "--size", SIZE, "--window", WINDOW,
                      "--progress", progress], folder)
    return consumer, sender


def run(workers, count):
    """Messages a second of both endpoints together."""
    with tempfile.TemporaryDirectory(prefix="msgd-bench-") as folder:
        msgd = msgd_test.Daemon(folder, json.dumps({"workers": workers}))
        try:
            pairs = [start(folder, msgd, name, count) for name in ("left", "right")]
            seconds = []
            for consumer, sender in pairs:
                contenders.end(sender)
                seconds.append(contenders.end(consumer)[0]["seconds"])
            for name in ("left", "right"):
                msgd.sent[name] = count
                wait_until(lambda name=name: msgd.ledger(name)["delivered"] == count, 10, "everything to be released")
        finally:
            msgd.finish()
        return 2 * count / max(seconds)


def measure(_msgd, _folder, is_quick, is_tiny=False):
    rounds, count = (1, 5000) if is_tiny else (3, 50_000) if is_quick else (5, 300_000)
    runs = {1: [], 2: []}
    for _ in range(rounds):
        for workers, several in runs.items():
            several.append(run(workers, count))
    return {"size": SIZE, "rounds": rounds, "rates": {workers: statistics.median(several) for workers, several in runs.items()}}


def headline(figures):
    yield "ratio.workers_2", figures["rates"][2] / figures["rates"][1]


def lines(figures):
    yield f"workers: two busy endpoints, plain datagrams of {figures['size']} B, medians of {figures['rounds']} interleaved runs"
    for workers, rate in figures["rates"].items():
        yield f"    {f'{workers} of them, a second':28}{rate:>12,.0f}{rate / figures['rates'][1]:>8.2f}"
