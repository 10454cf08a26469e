# SPDX-License-Identifier: MIT
"""Loads that a story asserts and the benchmark prints: many endpoints, many sessions, and nothing to do at all."""

import itertools
import json
import os
import pathlib
import re
import socket
import time

from msgd_process import cpu_ticks, n_descriptors, rss_kib, wait_until

_server_numbers = itertools.count(1)


def cpu_ns(pid):
    """Nanoseconds of CPU that all threads of a process have used."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total


def own_kib(pid):
    """What a process has in memory that is its own: without the pages of files, which come and go by themselves."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.search(rf"^{key}:\s+(\d+)", status, re.M)[1]) for key in ("RssAnon", "RssShmem"))


def total(msgd, key):
    """A counter summed over all endpoints."""
    return sum(e["ledger"][key] for e in msgd.call("List")["endpoints"])


def register_many(msgd, n):
    """Registers n endpoints for ever, without a consumer."""
    with msgd.connect() as c:
        for i in range(n):
            c.send("Register", {"name": f"e-{i}", "port": 0, "lease_s": -1})
        for _ in range(n):
            c.receive()


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


def serve_sessions(msgd, *options):
    """A server of sessions (bench/session.c) on an endpoint of its own; with its port."""
    server = msgd.spawn("session", "serve", f"sessions-{next(_server_numbers)}", *options)
    server.wait_for_stderr("port ")
    return server, int(re.search(r"port (\d+)", server.stderr)[1])


def _cycle(msgd, port, n, together, *options):
    client = msgd.spawn("session", "cycle", f"127.0.0.1:{port}", "--sessions", n, "--together", together, *options)
    assert client.wait(300) == 0, client.stderr
    return {**json.loads(client.stdout), "complaints": client.stderr}


def open_and_close(msgd, n, together):
    """
    Opens n sessions, so many at a time, each with a message there and back, and closes them in order; then the same
    again. What the daemon has in memory after the first time it has for good; the second time must add nothing.
    """
    server, port = serve_sessions(msgd, "--echo")
    _cycle(msgd, port, 10, 10)  # what the first ones touch is not what a session costs
    figures = {"sessions": n, "together": together, "before_kib": own_kib(msgd.pid), "descriptors": n_descriptors(msgd.pid)}
    seen = _cycle(msgd, port, n, together)
    figures.update(rate=n / seen["seconds"], completed=seen["completed"], complaints=seen["complaints"],
                   after_kib=own_kib(msgd.pid))
    seen = _cycle(msgd, port, n, together)
    figures.update(again_completed=seen["completed"], again_kib=own_kib(msgd.pid))
    assert server.stop() == 0, server.stderr
    return figures


def all_at_once(msgd, n, messages, size):
    """n sessions that are open at the same time, each with `messages` messages there and the same back."""
    server, port = serve_sessions(msgd, "--echo")
    seen = _cycle(msgd, port, n, n, "--messages", messages, "--size", size, "--meet")
    assert server.stop() == 0, server.stderr
    return {"sessions": n, "at_once": seen["most_open"], "completed": seen["completed"], "sent": n * messages,
            "came_back": seen["messages"], "wrong": seen["wrong"], "size": size, "seconds": seen["seconds"],
            "complaints": seen["complaints"]}


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
