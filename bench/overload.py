# SPDX-License-Identifier: MIT
"""A sender that waits for nobody: what arrives, and that every message that does not is accounted for."""

import statistics

import contenders
from msgd_process import Program, build_path

SIZE = 256


def flood(who, count):
    """As many as asked, by sendmmsg, as fast as it goes. What arrived, what did not, and who knows of it."""
    receiver = who.receiver(["--count", str(count), "--idle", "300"], [], SIZE)
    sender = Program([build_path("flood"), "127.0.0.1", who.port, "--how", "many", "--count", count, "--size", SIZE], who.folder)
    sent, _ = contenders.end(sender)
    seen, _ = contenders.end(receiver)
    return {"offered": sent["rate"], "rate": seen["received"] / seen["seconds"], "lost": 1 - seen["received"] / count,
            "received": seen["received"]}


def flood_msgd(msgd, who, count):
    figures = flood(who, count)
    msgd.sent[who.endpoint] = count
    msgd.check_laws()  # sent = datagrams + kernel_dropped; received = delivered + dropped
    ledger = msgd.ledger(who.endpoint)
    assert ledger["delivered"] == figures["received"], ledger
    figures.update(kernel_dropped=ledger["kernel_dropped"], dropped=sum(ledger["dropped"].values()))
    msgd.release(who.endpoint)
    return figures


def measure(msgd, folder, is_quick, is_tiny=False):
    rounds, count = (1, 5000) if is_tiny else (1, 200_000) if is_quick else (5, 1_000_000)
    bare, ours = contenders.Bare("one"), contenders.Msgd(msgd, "one")
    for who in (bare, ours):
        who.start(folder)
    runs = {"bare": [], "msgd": []}
    for _ in range(rounds):
        runs["bare"].append(flood(bare, count))
        runs["msgd"].append(flood_msgd(msgd, ours, count))
    rows = {who: {key: statistics.median(r[key] for r in several) for key in several[0]} for who, several in runs.items()}
    return {"size": SIZE, "rounds": rounds, "messages": count, "rows": rows}


def headline(figures):
    yield "ratio.overload_256", figures["rows"]["msgd"]["rate"] / figures["rows"]["bare"]["rate"]


def lines(figures):
    yield (f"overload: {figures['rounds']} x {figures['messages']:,} messages of {figures['size']} B by a sender that waits for "
           "nobody, medians")
    yield f"    {'':12}{'offered':>12}{'arrived':>12}{'lost':>8}{'in the kernel':>16}{'mailbox full':>14}"
    for who, row in figures["rows"].items():
        known = (f"{row['kernel_dropped']:>16,.0f}{row['dropped']:>14,.0f}" if who == "msgd" else f"{'nobody knows':>30}")
        yield f"    {who:12}{row['offered']:>12,.0f}{row['rate']:>12,.0f}{row['lost']:>8.1%}{known}"
