# SPDX-License-Identifier: MIT
"""Rates and latency of one run as an SVG: bars on logarithmic scales."""

import math
from xml.sax.saxutils import escape

WIDTH, LABEL, BAR, GAP = 860, 190, 16, 8
OURS, BARE, PEER = "#2066b0", "#8a8f98", "#c9b458"


def colour(name):
    return OURS if name.startswith("msgd") else BARE if name.startswith("bare") else PEER


def panel(top, title, rows, shown):
    """Bars for {name: value}, and where the panel ends."""
    low = 10 ** math.floor(math.log10(min(rows.values())))
    high = max(rows.values())
    room = WIDTH - LABEL - 110
    parts = [f'<text x="12" y="{top + 18}" font-weight="bold">{escape(title)}</text>']
    y = top + 32
    for name, value in sorted(rows.items(), key=lambda row: row[1], reverse=True):
        length = max(2, room * math.log10(value / low) / math.log10(high / low)) if high > low else room
        parts.append(f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
                     f'<rect x="{LABEL}" y="{y}" width="{length:.0f}" height="{BAR}" fill="{colour(name)}"/>'
                     f'<text x="{LABEL + length + 6:.0f}" y="{y + 12}">{escape(shown(value))}</text>')
        y += BAR + GAP
    return parts, y + 14


def panels(results):
    for table in results.get("rates", []):
        if table["size"] == 256:
            yield ("Messages of 256 B a second (logarithmic)", {name: row["rate"] for name, row in table["rows"].items()},
                   lambda value: f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.0f} k")
    if "latency" in results:
        for key, title in (("one_at_a_time", "One way, one at a time, median in µs (logarithmic)"),
                           ("paced", "One way, 1,000 a second, median in µs (logarithmic)")):
            yield title, {name: row["p50_us"] for name, row in results["latency"][key].items()}, lambda value: f"{value:.1f}"


def draw(results):
    parts, y = [], 8
    for title, rows, shown in panels(results):
        more, y = panel(y, title, rows, shown)
        parts += more
    return ("<!-- SPDX-License-Identifier: MIT -->\n"
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="{WIDTH}" height="{y}" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")
