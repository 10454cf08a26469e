# SPDX-License-Identifier: MIT
"""lint.links: every relative link in a Markdown page leads to something, also within a page."""
import os
import re

import tree


def anchors(path):
    headings = [re.sub(r"^#+ ", "", line) for line in tree.lines(path) if re.match(r"#+ ", line)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main():
    findings = []
    checked = 0
    for path in tree.files(".md"):
        for number, line in enumerate(tree.lines(path), 1):
            for target in re.findall(r"\]\(([^)\s]+)\)", line):
                if re.match(r"\w+:", target):
                    continue
                checked += 1
                file, _, anchor = target.partition("#")
                there = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
                if not os.path.exists(os.path.join(tree.ROOT, there)):
                    findings.append(f"{path}:{number}: {target} is not there")
                elif anchor and anchor not in anchors(there):
                    findings.append(f"{path}:{number}: {there} has no section #{anchor}")
    tree.finish(findings, checked)


main()
