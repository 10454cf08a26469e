# SPDX-License-Identifier: MIT
"""lint.words: no path of somebody's machine, no unfinished business, no white space at the end of a line."""
import re

import tree

# In halves, so that this file does not find itself.
UNWANTED = [
    (re.compile(r"/wo" r"rk/|/ro" r"ot/|/home/[a-z]{2,}|/tmp/bu" r"ild"), "a path of one machine"),
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b"), "unfinished business"),
    (re.compile(r"[ \t\r]+$"), "white space at the end"),
]


def main():
    findings = []
    checked = 0
    for path in tree.files():
        lines = tree.lines(path)
        if lines is None:
            continue
        checked += 1
        if lines[-1] != "":
            findings.append(f"{path}:{len(lines)}: the last line has no end")
        for number, line in enumerate(lines, 1):
            for pattern, what in UNWANTED:
                if pattern.search(line):
                    findings.append(f"{path}:{number}: {what}")
    tree.finish(findings, checked)


main()
