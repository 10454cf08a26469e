# SPDX-License-Identifier: MIT
"""How long a message of 256 B takes: one way, and there and back; one at a time, and paced."""

import json
import re
import statistics

import contenders
from msgd_process import Program, build_path, wait_until
from msgd_process import run as run_program

SIZE, PACE = 256, 1000


def one_way(msgd, is_quick):
    main = [contenders.Bare("one"), contenders.Msgd(msgd, "one")]
    if is_quick:
        return main
    return main + [contenders.Nats(), contenders.Mosquitto(), contenders.Zmq(), contenders.Socat()]


def echo(msgd, count):
    """A bare server sends each datagram back, a bare client waits for it."""
    server = Program([build_path("echo"), "--serve"], msgd.folder)
    try:
        server.wait_for_stderr("port ")
        result = run_program([build_path("echo"), "--ask", re.search(r"port (\d+)", server.stderr)[1], "--count", count,
                              "--in-flight", 1, "--size", SIZE], timeout=120)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)
    finally:
        server.kill()


def request(msgd, port, count):
    """msgd_request to a consumer that calls msgd_reply."""
    result = run_program([build_path("round"), "ask", f"127.0.0.1:{port}", "--count", count, "--size", SIZE], timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def rounds_of(msgd, rounds, count):
    server = msgd.spawn("round", "serve", "round")
    server.wait_for_stderr("port ")
    port = int(re.search(r"port (\d+)", server.stderr)[1])
    runs = {"bare echo": [], "msgd, request": []}
    for _ in range(rounds):
        runs["bare echo"].append(echo(msgd, count))
        runs["msgd, request"].append(request(msgd, port, count))
    # The last release is noticed a little later than its reply.
    ledger = wait_until(lambda: (led := msgd.ledger("round"))["delivered"] >= rounds * count and led, 10, "everything to be released")
    msgd.sent["round"] = ledger["datagrams"]  # on a busy machine some go again
    msgd.check_laws()
    server.kill()
    msgd.release("round")
    return runs


def medians(runs):
    return {who: {key: statistics.median(r[key] for r in several) for key in ("p50_us", "p99_us")} for who, several in runs.items()}


def measure(msgd, folder, is_quick, is_tiny=False):
    rounds, count, paced = (1, 500, 100) if is_tiny else (3, 5000, 400) if is_quick else (5, 20000, 2000)
    there, absent = contenders.present(one_way(msgd, is_quick), folder)
    single, slow = {w.name: [] for w in there}, {w.name: [] for w in there}
    try:
        for _ in range(rounds):
            for who in there:
                single[who.name].append(contenders.run(who, count, SIZE, window=1, stamp=True))
                slow[who.name].append(contenders.run(who, paced, SIZE, rate=PACE, stamp=True))
    finally:
        contenders.stop(there)
    return {"size": SIZE, "rounds": rounds, "pace": PACE, "one_at_a_time": medians(single), "paced": medians(slow),
            "round_trip": medians(rounds_of(msgd, rounds, count)), "absent": absent}


def headline(figures):
    """The figures that msgd promises, by name."""
    ours, theirs = "msgd, one", "bare, one"
    for name, table, key in (("latency", "one_at_a_time", "p50"), ("latency", "one_at_a_time", "p99"),
                             ("latency_paced", "paced", "p50"), ("latency_paced", "paced", "p99")):
        yield f"ratio.{name}_{key}", figures[table][ours][f"{key}_us"] / figures[table][theirs][f"{key}_us"]
    trip = figures["round_trip"]
    yield "ratio.round_trip_p50", trip["msgd, request"]["p50_us"] / trip["bare echo"]["p50_us"]


def lines(figures):
    yield f"latency: {figures['size']} B, medians of {figures['rounds']} interleaved runs, in microseconds"
    yield f"    {'':24}{'p50':>10}{'p99':>10}{'/ bare':>9}{'':>3}{'p50':>10}{'p99':>10}{'/ bare':>9}"
    yield f"    {'':24}{'one way, one at a time':>29}{'':>3}{'one way, %d a second' % figures['pace']:>29}"
    single, slow = figures["one_at_a_time"], figures["paced"]
    for name in single:
        yield (f"    {name:24}" + "   ".join(
            f"{table[name]['p50_us']:>10.1f}{table[name]['p99_us']:>10.1f}{table[name]['p50_us'] / table['bare, one']['p50_us']:>9.2f}"
            for table in (single, slow)))
    trip = figures["round_trip"]
    yield f"    {'':24}{'there and back':>29}"
    for name, row in trip.items():
        yield f"    {name:24}{row['p50_us']:>10.1f}{row['p99_us']:>10.1f}{row['p50_us'] / trip['bare echo']['p50_us']:>9.2f}"
    yield from ("    " + line for line in figures["absent"])
