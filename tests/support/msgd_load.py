# SPDX-License-Identifier: MIT
"""Loads that a story asserts and the benchmark prints: many endpoints, and nothing to do at all."""

import json
import os
import pathlib
import re
import socket
import time

from msgd_process import cpu_ticks, n_descriptors, rss_kib, wait_until


def cpu_ns(pid):
    """Nanoseconds of CPU that all threads of a process have used."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total


def total(msgd, key):
    """A counter summed over all endpoints."""
    return sum(e["ledger"][key] for e in msgd.call("List")["endpoints"])


def many_endpoints(msgd, n, rounds):
    """
    Registers n endpoints by one consumer and sends one datagram to each, `rounds` times, so that no
    socket ever holds more than ten. Returns the figures.
    """
    drain = msgd.spawn("drain", "e", "--endpoints", n, "--verify")
    drain.wait_for_stderr(f"registered {n}", 60)
    ports = [int(p) for p in re.findall(r"^attached \S+ (\d+)", drain.stderr, re.M)]
    assert len(set(ports)) == n, f"{len(set(ports))} ports for {n} endpoints"
    figures = {
        "endpoints": n,
        "rounds": rounds,
        "register_s": float(re.search(r"registered \d+ in ([0-9.]+) s", drain.stderr)[1]),
        "rss_registered_kib": rss_kib(msgd.pid),
        "descriptors": n_descriptors(msgd.pid),
    }
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(1, rounds + 1):
            payload = b'{"n":%d,"pad":"xxxxxxxxxxxxxxxxxxx"}' % i
            for port in ports:
                s.sendto(payload, ("127.0.0.1", port))
            if i % 10 == 0 or i == rounds:
                wait_until(lambda i=i: total(msgd, "datagrams") == i * n, 60, f"{i} rounds to be read")
    wait_until(lambda: total(msgd, "delivered") == rounds * n, 10, "everything to be released")
    figures["rss_after_kib"] = rss_kib(msgd.pid)
    assert drain.stop() == 0, drain.stderr
    seen = json.loads(drain.stdout)
    figures.update(sent=rounds * n, delivered=seen["received"], torn=seen["torn"])
    return figures


def at_rest(msgd, seconds):
    """What a daemon with two consumers and nothing to do costs."""
    consumer = msgd.receive("thermo")
    drain = msgd.spawn("drain", "other")
    drain.wait_for_stderr("attached")
    msgd.send("thermo", ["1"])
    consumer.take(1)
    time.sleep(1)  # what follows a message has its time to settle
    before = cpu_ticks(msgd.pid)
    time.sleep(seconds)
    return {"seconds": seconds, "ticks": cpu_ticks(msgd.pid) - before, "rss_kib": rss_kib(msgd.pid)}
