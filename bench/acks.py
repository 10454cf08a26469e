# SPDX-License-Identifier: MIT
"""Acknowledged messages on loopback, beside a bare UDP echo: how many a second, and how long each waits for its answer."""

import json
import re
import statistics

from msgd_process import Program, build_path, wait_until
from msgd_process import run as run_program

SIZE = 256
WINDOWS = (1, 256)


def run(msgd, name, port, window, count, wish):
    sender = Program([build_path("acks"), f"127.0.0.1:{port}", "--count", count, "--window", window, "--size", SIZE,
                      *(["--released"] if wish == "released" else [])], msgd.folder)
    assert sender.wait(120) == 0, sender.stderr
    seen = json.loads(sender.stdout)
    assert seen["acknowledged"] == count, seen
    msgd.sent[name] += seen["datagrams"]
    return {"rate": count / seen["seconds"], **{key: seen[key] for key in ("p50_us", "p99_us", "again")}}


def run_echo(msgd, window, count):
    """What a program gets that binds the port itself and sends each datagram back as it came."""
    server = Program([build_path("echo"), "--serve"], msgd.folder)
    try:
        server.wait_for_stderr("port ")
        result = run_program([build_path("echo"), "--ask", re.search(r"port (\d+)", server.stderr)[1], "--count", count,
                              "--in-flight", window, "--size", SIZE], timeout=120)
        assert result.returncode == 0, result.stderr
        return {**json.loads(result.stdout), "again": 0}
    finally:
        server.kill()


def measure(msgd, _folder, is_quick, is_tiny=False):
    rounds, count = (1, 200) if is_tiny else (3, 2000) if is_quick else (5, 20000)
    consumer = msgd.spawn("drain", "acks", "--mailbox", 16 << 20, "--verify")
    consumer.wait_for_stderr("attached")
    port = int(re.search(r"attached \S+ (\d+)", consumer.stderr)[1])
    cells = [{"wish": wish, "window": window, "runs": []} for wish in ("echo", "stored", "released") for window in WINDOWS]
    n = 0
    for _ in range(rounds):
        for cell in cells:
            several = count if cell["window"] == 1 else 10 * count
            if cell["wish"] == "echo":
                cell["runs"].append(run_echo(msgd, cell["window"], several))
                continue
            cell["runs"].append(run(msgd, "acks", port, cell["window"], several, cell["wish"]))
            n += several
    wait_until(lambda: msgd.ledger("acks")["delivered"] == n, 10, "everything to be released")
    assert consumer.stop() == 0, consumer.stderr
    seen = json.loads(consumer.stdout)
    assert (seen["received"], seen["torn"]) == (n, 0), seen
    for cell in cells:
        cell.update({key: statistics.median(r[key] for r in cell["runs"]) for key in ("rate", "p50_us", "p99_us", "again")})
    return {"size": SIZE, "rounds": rounds, "cells": cells}


def lines(figures):
    """The figures as a table."""
    yield f"acknowledged messages of {figures['size']} B, {figures['rounds']} runs, medians"
    yield f"    {'':28}{'a second':>12}{'p50 us':>12}{'p99 us':>12}"
    for cell in figures["cells"]:
        what = f"{'bare echo' if cell['wish'] == 'echo' else cell['wish']}, {cell['window']} under way"
        yield f"    {what:28}{cell['rate']:>12,.0f}{cell['p50_us']:>12,.1f}{cell['p99_us']:>12,.1f}"
