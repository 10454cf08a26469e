# SPDX-License-Identifier: MIT
"""Messages a second and what they cost, by size and way, in one interleaved run: the bare socket, msgd, its peers."""

import statistics

import contenders

SIZES = (64, 256, 1024, 8192)
# The most bytes that one run carries, so that large messages take no longer than small ones.
RUN_BYTES = 256 << 20
# Messages of a run, by who carries them.
COUNTS = {"mosquitto": 60_000, "socat": 40_000, "msgd, one, Receive": 100_000, "bare, one": 400_000, "msgd, one": 400_000,
          "msgd, feed": 800_000, "NATS": 800_000, "ZeroMQ proxy": 800_000}


def ways(msgd, size, is_quick):
    """Who is measured at a size. The quick form has what the promises are about."""
    main = [contenders.Bare("one"), contenders.Msgd(msgd, "one"), contenders.Bare("offload"), contenders.Msgd(msgd, "offload"),
            contenders.Msgd(msgd, "batch"), contenders.Nats()]
    if is_quick:
        return main if size == 256 else []
    return main + [contenders.Msgd(msgd, "feed"), contenders.Msgd(msgd, "one", "Receive"), contenders.Mosquitto(),
                   contenders.Zmq(), contenders.Socat()]


def count_of(who, size, is_quick, is_tiny):
    count = min(COUNTS.get(who.name, 2_000_000), RUN_BYTES // size)
    return max(2000, count // (100 if is_tiny else 4 if is_quick else 1))


def medians(runs):
    return {key: statistics.median(r[key] for r in runs) for key in runs[0]}


def measure_size(msgd, folder, size, is_quick, is_tiny):
    rounds = 1 if is_tiny else 3 if is_quick else 5
    there, absent = contenders.present(ways(msgd, size, is_quick or is_tiny), folder)
    runs = {who.name: [] for who in there}
    try:
        for _ in range(rounds):
            for who in there:
                runs[who.name].append(contenders.run(who, count_of(who, size, is_quick, is_tiny), size))
    finally:
        contenders.stop(there)
    rows = {name: {**medians(several), "runs": [round(r["rate"]) for r in several]} for name, several in runs.items()}
    return {"size": size, "rounds": rounds, "rows": rows, "notes": {w.name: w.note for w in there}, "absent": absent}


def measure(msgd, folder, is_quick, is_tiny=False):
    return [measure_size(msgd, folder, size, is_quick, is_tiny) for size in SIZES if ways(msgd, size, is_quick or is_tiny)]


def ratio(rows, ours, theirs):
    return rows[ours]["rate"] / rows[theirs]["rate"] if ours in rows and theirs in rows else None


def headline(figures):
    """The figures that msgd promises, by name."""
    for table in figures:
        size, rows = table["size"], table["rows"]
        yield f"ratio.plain_{size}", ratio(rows, "msgd, one", "bare, one")
        yield f"ratio.offload_{size}", ratio(rows, "msgd, offload", "bare, offload")
        yield f"ratio.offload_nats_{size}", ratio(rows, "msgd, offload", "NATS")
        yield f"rate.batch_{size}", rows["msgd, batch"]["rate"]
        yield f"ratio.batch_{size}", ratio(rows, "msgd, batch", "bare, offload")


def table_lines(table):
    rows = table["rows"]
    yield f"rates: {table['size']} B, flow-controlled, medians of {table['rounds']} interleaved runs; CPU in ns a message"
    yield f"    {'':24}{'a second':>12}{'/ bare':>8}{'sender':>9}{'daemon':>9}{'consumer':>9}{'MiB':>7}"
    for name, row in rows.items():
        bare = "bare, offload" if "offload" in name or "batch" in name else "bare, one"
        rss = f"{row['rss_kib'] / 1024:.0f}" if row["rss_kib"] else ""
        yield (f"    {name:24}{row['rate']:>12,.0f}{row['rate'] / rows[bare]['rate']:>8.2f}{row['sender_ns']:>9,.0f}"
               f"{row['daemon_ns']:>9,.0f}{row['consumer_ns']:>9,.0f}{rss:>7}")


def lines(figures):
    """The figures as tables, with what is not like for like."""
    for table in figures:
        yield from table_lines(table)
    for name, note in figures[0]["notes"].items():
        if note:
            yield f"    {name}: {note}"
    yield from ("    " + line for line in figures[0]["absent"])
