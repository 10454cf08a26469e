# SPDX-License-Identifier: MIT
"""lint.size: no file over 800 lines, no function over one screen (70 lines, the rows of a table in it aside)."""
import re

import tree

MAX_FILE = 800
MAX_FUNCTION = 70


def functions(lines):
    """(name, first line, lines) of each function: its braces stand alone in the first column."""
    name, begin, n_rows = "?", None, 0
    for number, line in enumerate(lines, 1):
        found = re.match(r"[A-Za-z_]", line) and re.search(r"(\w+)\s*\(", line)
        if found:
            name = found[1]
        if line == "{":
            begin, n_rows = number, 0
        elif re.match(r"\s+\{.*\},?$", line):
            n_rows += 1
        elif line.startswith("}") and begin:
            yield name, begin, number - begin + 1 - n_rows
            begin = None


def main():
    findings = []
    sources = tree.files(".c", ".h")
    for path in sources:
        lines = tree.lines(path)
        if len(lines) - 1 > MAX_FILE:
            findings.append(f"{path}: {len(lines) - 1} lines, at most {MAX_FILE}: split it")
        for name, begin, n in functions(lines):
            if n > MAX_FUNCTION:
                findings.append(f"{path}:{begin}: {name} has {n} lines, at most {MAX_FUNCTION}")
    tree.finish(findings, len(sources))


main()
