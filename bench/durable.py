# SPDX-License-Identifier: MIT
"""
Messages that have to be on disk before their senders hear of it, and bringing them back; beside the same in memory and
beside JetStream. And what a durable endpoint costs whose consumer keeps up.
"""

import json
import os
import re
import statistics
import tempfile
import time

import contenders
from msgd_process import Program, build_path, run, wait_until
from msgd_test import Daemon, check_law, free_port

SIZE = 256
WINDOW = 4096
SENDERS = 16
LIMITS = {"limits": {"spool_bytes": 20 << 30, "mailbox_bytes_per_uid": 8 << 30}}
ENDPOINTS = {
    "memory": {"mailbox_bytes": 4 << 30},
    "disk": {"durable": True, "spool_bytes": 0},
}


def config():
    return {**LIMITS, "endpoints": [{"name": name, "port": free_port(), **fields} for name, fields in ENDPOINTS.items()]}


def acknowledge(msgd, name, count):
    """Sends, each to be acknowledged as stored; nobody receives. Messages a second."""
    port = msgd.endpoint(name)["port"]
    start = time.monotonic()
    senders = [Program([build_path("acks"), f"127.0.0.1:{port}", "--count", count // SENDERS, "--window", WINDOW, "--size",
                        SIZE], msgd.folder) for _ in range(SENDERS)]
    for sender in senders:
        assert sender.wait(300) == 0, sender.stderr
        assert json.loads(sender.stdout)["acknowledged"] == count // SENDERS, sender.stdout
    return count / (time.monotonic() - start)


def drain(msgd, name, count):
    """Receives and releases all of it. Messages a second."""
    delivered = msgd.ledger(name)["delivered"]
    start = time.monotonic()
    consumer = Program([build_path("drain"), name, "--count", count], msgd.folder,
                       env={**os.environ, "MSGD_SOCKET": msgd.socket})
    assert consumer.wait(300) == 0, consumer.stderr
    rate = count / (time.monotonic() - start)
    msgd.wait_for_ledger(name, 30, delivered=delivered + count)
    return rate


class JetStream(contenders.Nats):
    name, program = "JetStream", "peer_jetstream"

    def start(self, folder):
        self.folder = folder
        port = contenders.free_port()
        self.target = f"nats://127.0.0.1:{port}"
        self.launch([self.server_path(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", tempfile.mkdtemp(dir=folder)])
        wait_until(lambda: contenders.listens(port), 10, "nats-server to listen")

    def measure(self, count):
        """Messages a second, acknowledged from files, and drained."""
        self.start(self.folder)
        try:
            seconds = []
            for mode in ("publish", "drain"):
                result = run([build_path(self.program), mode, self.target, "--count", count, "--size", SIZE], timeout=300)
                assert result.returncode == 0, result.stderr
                seconds.append(json.loads(result.stdout)["seconds"])
            return {"acknowledged": count / seconds[0], "drained": count / seconds[1]}
        finally:
            self.stop()


class DurableMsgd(contenders.Msgd):
    registration = ("--durable",)


def keeping_up(msgd, folder, rounds, count):
    """The rate of a durable endpoint whose consumer keeps up, against one that is not durable: the median of ratios."""
    ways = [contenders.Msgd(msgd, "one"), DurableMsgd(msgd, "one")]
    for way in ways:
        way.start(folder)
    ratios = []
    for _ in range(rounds):
        plain, durable = (contenders.run(way, count, SIZE)["rate"] for way in ways)
        ratios.append(durable / plain)
    return statistics.median(ratios)


def restart_ms(msgd, name):
    """msgd is killed, with all that it had in memory. From the start of the next one to its first message, ms."""
    msgd.kill()
    msgd.sent.clear()
    start = time.monotonic()
    msgd.launch()
    consumer = Program([build_path("drain"), name, "--count", 1], msgd.folder, env={**os.environ, "MSGD_SOCKET": msgd.socket})
    assert consumer.wait(60) == 0, consumer.stderr
    return (time.monotonic() - start) * 1000


def measure(_msgd, folder, is_quick, is_tiny=False):
    rounds, count = (1, 2000) if is_tiny else (1, 200_000) if is_quick else (5, 1_000_000)
    runs = {name: {"acknowledged": [], "drained": []} for name in ENDPOINTS}
    restarts = []
    jetstream = JetStream()
    jetstream.folder = folder
    if not jetstream.missing():
        runs["jetstream"] = {"acknowledged": [], "drained": []}
    msgd = Daemon(tempfile.mkdtemp(dir=folder), config())
    try:
        ratio = keeping_up(msgd, folder, rounds, count // 4)
        for _ in range(rounds):
            for name, seen in runs.items():
                if name == "jetstream":
                    for what, value in jetstream.measure(count // 4).items():
                        seen[what].append(value)
                    continue
                seen["acknowledged"].append(acknowledge(msgd, name, count))
                if name == "disk":
                    restarts.append(restart_ms(msgd, name))
                left = msgd.ledger(name)
                seen["drained"].append(drain(msgd, name, left["queued"] + left["spooled"]))
                check_law(name, msgd.ledger(name))
    finally:
        msgd.finish()
    medians = {name: {what: statistics.median(values) for what, values in seen.items()} for name, seen in runs.items()}
    return {"size": SIZE, "rounds": rounds, "messages": count, "restart_ms": statistics.median(restarts), "keeping_up": ratio,
            **medians}


def headline(figures):
    """The figures that msgd promises, by name."""
    yield "rate.durable_256", figures["disk"]["acknowledged"]
    yield "ratio.durable_keeping_up", figures["keeping_up"]


def lines(figures):
    yield (f"durable: {figures['messages']:,} messages of {figures['size']} B, acknowledged as stored, consumer away; medians of"
           f" {figures['rounds']} runs, messages a second")
    yield f"    {'':28}{'acknowledged':>14}{'drained':>12}"
    for name, what in (("memory", "in memory"), ("disk", "on disk, synced"), ("jetstream", "JetStream, not synced")):
        if name not in figures:
            yield f"    {what:28}{'left out: no nats-server, or no library of its':>40}"
            continue
        yield f"    {what:28}{figures[name]['acknowledged']:>14,.0f}{figures[name]['drained']:>12,.0f}"
    yield f"    with a consumer that keeps up: {figures['keeping_up']:.2f} of the rate of one that is not durable"
    yield f"    killed with all of it on disk, until the first comes: {figures['restart_ms']:.0f} ms"
