# SPDX-License-Identifier: MIT
"""The JSON validator beside simdjson's DOM parse, yajl and jansson, in one interleaved run of bench/validator."""

import json
import statistics
import subprocess

from msgd_process import build_path

SIZES = ("60", "241", "969")
OTHERS = ("simdjson", "yajl", "jansson")


def measure(_msgd, _folder, is_quick, is_tiny):
    output = subprocess.run([build_path("validator"), "--rounds", "1" if is_tiny else "5" if is_quick else "15"],
                            stdout=subprocess.PIPE, check=True, text=True).stdout
    return {name: medians(runs) for name, runs in json.loads(output).items()}


def medians(runs):
    """Medians of the rounds; ratios are medians of each round's ratio, so that a slow moment hits both sides."""
    size = runs.pop("bytes")
    figures = {"bytes": size, "ns": {who: round(statistics.median(ns), 1) for who, ns in runs.items()}}
    figures["gbps"] = round(size / figures["ns"]["msgd"], 2)
    figures["ratio"] = {who: round(statistics.median(a / b for a, b in zip(runs["msgd"], runs[who])), 3)
                        for who in OTHERS if who in runs}
    return figures


def headline(figures):
    """The figures that msgd promises, by name."""
    yield "validator.gbps_241", figures["241"]["gbps"]
    for size in SIZES:
        if "simdjson" in figures[size]["ratio"]:
            yield f"validator.vs_simdjson_{size}", figures[size]["ratio"]["simdjson"]


def lines(figures):
    """The figures as a table: nanoseconds of CPU for a text, and our part of what others take."""
    present = [who for who in OTHERS if who in figures["241"]["ns"]]
    yield "validator: ns for a text, every text of a shape of its own (same: one text repeated), medians"
    yield (f"    {'':16}{'msgd':>9}{'GB/s':>7}{'unpadded':>10}" + "".join(f"{who:>10}" for who in present)
           + "".join(f"{'/ ' + who:>11}" for who in present))
    for name, row in figures.items():
        yield (f"    {name:16}{row['ns']['msgd']:>9.0f}{row['gbps']:>7.2f}{row['ns']['msgd_unpadded']:>10.0f}"
               + "".join(f"{row['ns'][who]:>10.0f}" for who in present)
               + "".join(f"{row['ratio'][who]:>11.3f}" for who in present))
