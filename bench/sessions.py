# SPDX-License-Identifier: MIT
"""
Sessions: goodput beside ENet's over loopback and over a bad network in one interleaved run; how fast they open and
close, and what that leaves in the daemon's memory; and many of them at once.
"""

import json
import re
import statistics

from msgd_load import all_at_once, open_and_close, serve_sessions
from msgd_process import BUILD, Program, build_path
from msgd_proxy import Proxy

SIZES = (256, 65536)
# Loopback takes datagrams of up to 64 KiB, and ENet gets the largest that it knows; the proxy is a network
# with an Ethernet's datagrams, which is what ENet is set for.
PATHS = {
    "loopback": None,
    "proxy": {"mtu": 1500},
    "proxy, 5 % lost": {"mtu": 1500, "loss": 5},
    "proxy, 20 % lost": {"mtu": 1500, "loss": 20},
}
ENET_MTU = {"loopback": 4096}
PORTS = (25000, 29999)


def has_enet():
    return (BUILD / "bench/enet").exists()


class Way:
    """From a client to a port of 127.0.0.1: straight, or through a proxy."""

    def __init__(self, folder, path, port):
        impairments = PATHS[path]
        self.proxy = impairments and Proxy(folder, f"127.0.0.1:{port}", ports=PORTS, **impairments)
        self.address, self.port = (self.proxy.address, self.proxy.port) if self.proxy else ("127.0.0.1", port)

    def close(self):
        if self.proxy:
            self.proxy.stop()


def goodput(receiver, seconds, size):
    """MB/s of what a receiver has seen in so long, after the time to warm up."""
    seen = json.loads(receiver.stdout)
    assert seen["wrong"] == 0 and seen["bytes"] == seen["messages"] * size, seen
    return seen["warm_bytes"] / seconds / 1e6


def run_enet(folder, path, size, warm_up, seconds):
    mtu = ["--mtu", ENET_MTU[path]] if path in ENET_MTU else []
    receiver = Program([build_path("enet"), "receive", "--warm-up", warm_up, *mtu], folder)
    receiver.wait_for_stderr("port ")
    way = Way(folder, path, int(re.search(r"port (\d+)", receiver.stderr)[1]))
    sender = Program([build_path("enet"), "send", way.port, "--address", way.address, "--size", size,
                      "--seconds", warm_up + seconds, *mtu], folder)
    assert sender.wait(warm_up + seconds + 30) == 0, sender.stderr
    assert receiver.stop() == 0, receiver.stderr
    way.close()
    return goodput(receiver, seconds, size)


def run_msgd(msgd, path, size, warm_up, seconds):
    server, port = serve_sessions(msgd, "--warm-up", warm_up)
    way = Way(msgd.folder, path, port)
    sender = msgd.spawn("session", "send", f"{way.address}:{way.port}", "--size", size, "--seconds", warm_up + seconds)
    assert sender.wait(warm_up + seconds + 30) == 0, sender.stderr
    assert server.stop() == 0, server.stderr
    way.close()
    return goodput(server, seconds, size)


def compare(msgd, rounds, warm_up, seconds):
    """Interleaved runs of each size over each path, medians."""
    cells = [{"path": path, "size": size, "msgd_runs": [], "enet_runs": []} for path in PATHS for size in SIZES]
    for _ in range(rounds):
        for cell in cells:
            if has_enet():
                cell["enet_runs"].append(run_enet(msgd.folder, cell["path"], cell["size"], warm_up, seconds))
            cell["msgd_runs"].append(run_msgd(msgd, cell["path"], cell["size"], warm_up, seconds))
    for cell in cells:
        cell["msgd"] = statistics.median(cell["msgd_runs"])
        cell["enet"] = statistics.median(cell["enet_runs"]) if cell["enet_runs"] else None
        cell["ratio"] = cell["msgd"] / cell["enet"] if cell["enet"] else None
    return cells


def measure(msgd, _folder, is_quick, is_tiny=False):
    rounds, n, many = (1, 100, 30) if is_tiny else (3, 1000, 300) if is_quick else (5, 10000, 1000)
    # ENet takes a round trip for half a second until it has measured it: both have a second to warm up.
    warm_up, seconds = (0, 0.4) if is_tiny else (1, 1) if is_quick else (1, 3)
    return {"goodput": compare(msgd, rounds, warm_up, seconds), "rounds": rounds, "seconds": seconds,
            "open_and_close": open_and_close(msgd, n, min(n // 10, 200)),
            "all_at_once": all_at_once(msgd, many, 100, 256)}


def lines(figures):
    """The figures as tables."""
    yield f"sessions: goodput, MB/s, {figures['rounds']} x {figures['seconds']} s, medians"
    yield f"    {'':28}{'ENet':>12}{'msgd':>12}{'ratio':>12}"
    for cell in figures["goodput"]:
        enet, ratio = ((f"{cell[key]:,.2f}" if cell[key] is not None else "-") for key in ("enet", "ratio"))
        what = f"{cell['size']:,} B, {cell['path']}"
        yield f"    {what:28}{enet:>12}{cell['msgd']:>12,.2f}{ratio:>12}"
    if all(cell["enet"] is None for cell in figures["goodput"]):
        yield "    ENet is not installed (libenet-dev): nothing to compare with"
    cycle, many = figures["open_and_close"], figures["all_at_once"]
    yield f"    opened and closed {cycle['completed']:,} of {cycle['sessions']:,}, {cycle['together']} at a time"
    yield f"    {'    sessions a second':28}{cycle['rate']:>12,.0f}"
    yield f"    {'    MiB of the daemon before':28}{cycle['before_kib'] / 1024:>12.1f}"
    yield f"    {'    MiB of the daemon after':28}{cycle['after_kib'] / 1024:>12.1f}"
    yield f"    {'    and after as many again':28}{cycle['again_kib'] / 1024:>12.1f}"
    yield (f"    {many['at_once']:,} open at once: {many['came_back']:,} of {many['sent']:,} messages of {many['size']} B "
           f"there and back, {many['wrong']} wrong, in {many['seconds']:.1f} s")
