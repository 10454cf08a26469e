# SPDX-License-Identifier: MIT
"""CPU of the receiving side for a plain datagram, the sender on one CPU and all else on the other."""

import statistics

import contenders

SIZE = 256


def measure(msgd, folder, is_quick, is_tiny=False):
    rounds, count = (1, 5000) if is_tiny else (3, 100_000) if is_quick else (5, 400_000)
    there, _ = contenders.present([contenders.Bare("one"), contenders.Msgd(msgd, "one")], folder)
    runs = {who.name: [] for who in there}
    for _ in range(rounds):
        for who in there:
            runs[who.name].append(contenders.run(who, count, SIZE, pinned=True))
    medians = {name: {key: statistics.median(r[key] for r in several) for key in several[0]} for name, several in runs.items()}
    return {"size": SIZE, "rounds": rounds, "rows": medians}


def ratios(figures):
    bare, msgd = figures["rows"]["bare, one"]["consumer_ns"], figures["rows"]["msgd, one"]
    return msgd["daemon_ns"] / bare, (msgd["daemon_ns"] + msgd["consumer_ns"]) / bare


def headline(figures):
    """The figures that msgd promises, by name."""
    yield "ratio.cpu_plain", ratios(figures)[0]
    yield "ratio.cpu_plain_with_consumer", ratios(figures)[1]


def lines(figures):
    bare, msgd = figures["rows"]["bare, one"], figures["rows"]["msgd, one"]
    yield f"cpu: plain datagrams of {figures['size']} B, validated, pinned alike, medians of {figures['rounds']} runs, ns a message"
    yield f"    {'':28}{'bare':>12}{'msgd':>12}{'ratio':>8}"
    yield f"    {'daemon':28}{bare['consumer_ns']:>12,.0f}{msgd['daemon_ns']:>12,.0f}{ratios(figures)[0]:>8.2f}"
    yield (f"    {'    with its consumer':28}{bare['consumer_ns']:>12,.0f}{msgd['daemon_ns'] + msgd['consumer_ns']:>12,.0f}"
           f"{ratios(figures)[1]:>8.2f}")
