# SPDX-License-Identifier: MIT
"""msgd's rate beside that of a bare recvmmsg loop that binds the port itself, in one interleaved run."""

import json
import os
import re
import statistics

from msgd_load import cpu_ns
from msgd_process import Program, build_path, wait_until

SIZE = 256


def flood(folder, port, progress, count, how, window):
    sender = Program([build_path("flood"), "127.0.0.1", port, "--count", count, "--size", SIZE, "--how", how,
                      "--window", window, "--progress", progress], folder)
    assert sender.wait(120) == 0, sender.stderr
    assert json.loads(sender.stdout)["sent"] == count


def finish(receiver, count):
    """Waits for a receiver's end; its rate and the CPU that it used, per message."""
    _, status, used = os.wait4(receiver.pid, 0)
    receiver.process.returncode = os.waitstatus_to_exitcode(status)
    assert receiver.process.returncode == 0, receiver.stderr
    seen = json.loads(receiver.stdout)
    assert seen["received"] == count, f"{seen['received']} of {count} messages"
    assert not seen.get("torn") and not seen.get("gaps"), seen
    return {"rate": count / seen["seconds"], "consumer_ns": (used.ru_utime + used.ru_stime) * 1e9 / count}


def run_bare(folder, number, count, how, window):
    progress = f"{folder}/bare-{number}"
    receiver = Program([build_path("bare"), "--count", count, "--progress", progress,
                        *(["--gro"] if how == "offload" else [])], folder)
    receiver.wait_for_stderr("port ")
    flood(folder, re.search(r"port (\d+)", receiver.stderr)[1], progress, count, how, window)
    return finish(receiver, count)


def run_msgd(msgd, folder, number, count, how, window):
    """The consumer checks nothing, as bare does not; msgd validates each message."""
    progress, name = f"{folder}/msgd-{number}", f"bench-{number}"
    receiver = msgd.spawn("drain", name, "--count", count, "--progress", progress, "--mailbox", 16 << 20)
    receiver.wait_for_stderr("attached")
    port = re.search(r"attached \S+ (\d+)", receiver.stderr)[1]
    before = cpu_ns(msgd.pid)
    flood(folder, port, progress, count, how, window)
    figures = finish(receiver, count)
    figures["daemon_ns"] = (cpu_ns(msgd.pid) - before) / count
    wait_until(lambda: msgd.ledger(name)["delivered"] == count, 10, "everything to be released")
    msgd.sent[name] = count
    msgd.check_laws()
    msgd.release(name)
    return figures


def compare(msgd, folder, how, window, is_quick):
    """Medians of interleaved runs, and the ratio of the medians."""
    rounds, count = (3, 200000) if is_quick else (9, 1000000)
    if how == "offload":
        count *= 4
    runs = {"bare": [], "msgd": []}
    for number in range(rounds):
        runs["bare"].append(run_bare(folder, f"{how}-{number}", count, how, window))
        runs["msgd"].append(run_msgd(msgd, folder, f"{how}-{number}", count, how, window))
    figures = {who: {key: statistics.median(r[key] for r in several) for key in several[0]} for who, several in runs.items()}
    figures["runs"] = {who: [round(r["rate"]) for r in several] for who, several in runs.items()}
    figures.update(how=how, size=SIZE, window=window, messages=count, rounds=rounds,
                   ratio=figures["msgd"]["rate"] / figures["bare"]["rate"])
    return figures


def lines(figures):
    """The figures as a table."""
    bare, msgd = figures["bare"], figures["msgd"]
    yield (f"{figures['how']}: {figures['size']} B, validated, window {figures['window']}, "
           f"{figures['rounds']} x {figures['messages']:,} messages, medians")
    yield f"    {'':28}{'bare':>12}{'msgd':>12}{'ratio':>8}"
    yield f"    {'messages a second':28}{bare['rate']:>12,.0f}{msgd['rate']:>12,.0f}{figures['ratio']:>8.2f}"
    yield (f"    {'CPU ns a message, daemon':28}{bare['consumer_ns']:>12,.0f}{msgd['daemon_ns']:>12,.0f}"
           f"{msgd['daemon_ns'] / bare['consumer_ns']:>8.2f}")
    both = msgd["daemon_ns"] + msgd["consumer_ns"]
    yield f"    {'    with its consumer':28}{bare['consumer_ns']:>12,.0f}{both:>12,.0f}{both / bare['consumer_ns']:>8.2f}"
