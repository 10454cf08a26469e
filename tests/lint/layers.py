# SPDX-License-Identifier: MIT
"""lint.layers: every #include line against the table in docs/architecture.md."""
import os
import re

import tree

# What the build makes; each is the folder's own.
GENERATED = re.compile(r"\.(varlink|inc)\.h$|_text\.h$")
# Logic without I/O knows no loop.
NO_LOOP = ("proto", "daemon/core", "daemon/base")


def table():
    text = "\n".join(tree.lines("docs/architecture.md"))
    body = text.split("<!-- layers begin -->")[1].split("<!-- layers end -->")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in body.splitlines() if "|" in line]
    return {row[0]: set(row[1].split()) for row in rows[2:]}


def folder_of(path):
    folder, name = os.path.split(path)
    if folder == "daemon" and re.match(r"config(_\w+)?\.[ch]$", name):
        return "daemon/config"
    return folder


def check(path, may, findings):
    own = folder_of(path)
    for number, line in enumerate(tree.lines(path), 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        where, (quote, name) = f"{path}:{number}", match.groups()
        if quote == "<" and name == "uv.h" and own in NO_LOOP:
            findings.append(f"{where}: {own} knows no libuv")
        if quote == "<" and name != "msgd.h":
            continue
        if quote == '"' and not os.path.exists(os.path.join(tree.ROOT, name)):
            if not GENERATED.search(name):
                findings.append(f'{where}: "{name}" is no path from the root of the tree')
            continue
        used = "client" if name == "msgd.h" else folder_of(name)
        if used not in may[own]:
            findings.append(f"{where}: {own} may not include {used} ({name})")


def main():
    may = table()
    findings = []
    sources = [p for p in tree.files(".c", ".h") if not p.startswith(("tests/", "docs/"))]
    for path in sources:
        if folder_of(path) not in may:
            findings.append(f"{path}: its folder is not in the table of docs/architecture.md")
        else:
            check(path, may, findings)
    tree.finish(findings, len(sources))


main()
