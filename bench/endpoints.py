# SPDX-License-Identifier: MIT
"""Many endpoints: how long registering takes, what they cost in memory, and the rate when the traffic is spread over all."""

import pathlib
import re
import statistics

import contenders
from msgd_load import many_endpoints, total
from msgd_test import check_law
from msgd_process import Program, build_path, wait_until

SIZE, WINDOW = 256, 512
NUMBERS = (1, 10, 1000, 10000)


def flood(spread, count):
    """Sends to each of its ports in turn."""
    sender = Program([build_path("flood"), "127.0.0.1", 1, "--count", count, "--size", SIZE, "--ports", spread.ports,
                      "--window", WINDOW, "--progress", spread.progress], spread.folder)
    return contenders.end(sender)[0]


class Spread:
    """One consumer of n endpoints, and a sender that goes round them."""

    def __init__(self, msgd, folder, n):
        self.msgd, self.n, self.folder = msgd, n, folder
        self.progress, self.ports = f"{folder}/spread-{n}", f"{folder}/ports-{n}"
        self.drain = msgd.spawn("drain", f"spread{n}", "--endpoints", n, "--lease", 0, "--progress", self.progress)
        self.drain.wait_for_stderr(f"registered {n} in", 60)
        ports = re.findall(r"^attached \S+ (\d+)", self.drain.stderr, re.M)
        assert len(ports) == n
        pathlib.Path(self.ports).write_text("\n".join(ports))
        self.n_sent = 0

    def rate(self, count):
        self.n_sent += count
        return count / flood(self, count)["seconds"]

    def ledgers(self):
        return [e["ledger"] for e in self.msgd.call("List")["endpoints"] if e["name"].startswith(f"spread{self.n}-")]

    def end(self):
        """Every message is in the ledgers, which add up."""
        wait_until(lambda: sum(led["delivered"] for led in self.ledgers()) == self.n_sent, 20, "everything to be released")
        for ledger in self.ledgers():
            check_law(f"spread{self.n}", ledger)
        assert self.drain.stop() == 0, self.drain.stderr
        wait_until(lambda: not self.ledgers(), 20, "the endpoints to be gone")


class BareSpread:
    """What the kernel alone takes: n sockets in an edge-triggered epoll set, read with recvmmsg."""

    def __init__(self, folder, n):
        self.folder, self.n = folder, n
        self.progress, self.ports = f"{folder}/bare-{n}", f"{folder}/bare-ports-{n}"

    def rate(self, count):
        receiver = Program([build_path("bare"), "--sockets", self.n, "--count", count, "--progress", self.progress], self.folder)
        receiver.wait_for_stderr("bound", 60)
        pathlib.Path(self.ports).write_text("\n".join(re.findall(r"^port (\d+)", receiver.stderr, re.M)))
        seconds = flood(self, count)["seconds"]
        contenders.end(receiver)
        pathlib.Path(self.progress).unlink()
        return count / seconds


def measure_rates(spreads, rounds, count):
    runs = {spread.n: [] for spread in spreads}
    for _ in range(rounds):
        for spread in spreads:
            runs[spread.n].append(spread.rate(count))
    return {n: statistics.median(several) for n, several in runs.items()}


def measure(msgd, folder, is_quick, is_tiny=False):
    rounds, count = (1, 10000) if is_tiny else (3, 100_000) if is_quick else (5, 400_000)
    numbers = (1, 10000) if is_quick else NUMBERS
    spreads = [Spread(msgd, folder, n) for n in numbers]
    rates = measure_rates(spreads, rounds, count)
    for spread in spreads:
        spread.end()
    bare_rates = measure_rates([BareSpread(folder, n) for n in numbers], rounds, count)
    figures = many_endpoints(msgd, 10000, 5 if is_quick else 100)
    assert total(msgd, "delivered") >= figures["sent"]
    for endpoint in msgd.call("List")["endpoints"]:
        check_law(endpoint["name"], endpoint["ledger"])
    return {**figures, "size": SIZE, "rounds_of_rates": rounds, "rates": rates, "bare_rates": bare_rates}


def headline(figures):
    """The figures that msgd promises, by name."""
    yield "ratio.endpoints_10000", figures["rates"][10000] / figures["rates"][1]


def lines(figures):
    """The figures as a table, each with its bound."""
    yield f"endpoints: {figures['endpoints']:,} of one consumer, {figures['rounds']} messages to each"
    yield f"    {'':28}{'measured':>12}{'at most':>12}"
    yield f"    {'seconds to register':28}{figures['register_s']:>12.2f}{2:>12}"
    yield f"    {'MiB resident, registered':28}{figures['rss_registered_kib'] / 1024:>12.1f}{48:>12}"
    yield f"    {'MiB resident, after':28}{figures['rss_after_kib'] / 1024:>12.1f}{48:>12}"
    yield f"    {'descriptors':28}{figures['descriptors']:>12,}{12000:>12,}"
    yield f"    delivered {figures['delivered']:,} of {figures['sent']:,}"
    yield f"    plain datagrams of {figures['size']} B, one after the other to each endpoint, medians of {figures['rounds_of_rates']}"
    yield f"    {'':28}{'msgd':>12}{'':>8}{'bare':>12}"
    bare = figures["bare_rates"]
    for n, rate in figures["rates"].items():
        yield f"    {f'{n:,} endpoints, a second':28}{rate:>12,.0f}{rate / figures['rates'][1]:>8.2f}{bare[n]:>12,.0f}{bare[n] / bare[1]:>8.2f}"
