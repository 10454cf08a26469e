# SPDX-License-Identifier: MIT
"""lint.spdx: the licence in one of the first two lines of everything that can hold a comment."""
import os

import tree

NO_COMMENTS = (".md", ".json", ".varlink", ".txt", ".bin", ".gitignore", "LICENSE", ".dict")


def main():
    findings = []
    checked = 0
    for path in tree.files():
        name = os.path.basename(path)
        if name.endswith(NO_COMMENTS) and name != "CMakeLists.txt":
            continue
        lines = tree.lines(path)
        if lines is None:
            continue
        checked += 1
        if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
            findings.append(f"{path}:1: no SPDX-License-Identifier: MIT")
    tree.finish(findings, checked)


main()
