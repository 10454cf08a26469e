# SPDX-License-Identifier: MIT
"""The files of the source tree, for the lints: what a fresh checkout holds, without git."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_OURS = {".git", ".cache", "build", "__pycache__", "corpus"}


def files(*endings):
    """Paths below the root, sorted; all files, or those whose names end in one of `endings`."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in NOT_OURS and not f.startswith("build-"))
        for name in sorted(set(names) - NOT_OURS):  # of a linked work tree .git is a file
            if not endings or name.endswith(endings):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return found


def lines(path):
    """The lines of a text file without their ends; None where it is not text."""
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8", newline="") as f:
            return f.read().split("\n")
    except UnicodeDecodeError:
        return None


def finish(findings, checked):
    """Prints each finding and ends: 1 if there are any, or if nothing was looked at."""
    for finding in findings:
        print(finding)
    print(f"{checked} looked at, {len(findings)} findings")
    sys.exit(1 if findings or not checked else 0)
