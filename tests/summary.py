# SPDX-License-Identifier: MIT
"""
summary.py FILE...: counts the tests in ctest's JUnit files, names those that failed or were skipped and why: the whole
output is far above by then.
The last line is "N passed, N failed" with ", N skipped" if there are any; exit status 1 if any failed or none ran.

summary.py --not-built NAME FILE: writes such a file for a build that failed.
"""
import os
import re
import sys
import xml.etree.ElementTree as xml


def why_skipped(case):
    """What the test says: "SKIPPED: why", or unittest's "... skipped 'why'"."""
    output = case.findtext("system-out") or ""
    found = re.findall(r"^SKIPPED: (.*)$", output, re.M) or re.findall(r"skipped ['\"](.*)['\"]", output)
    return found[-1] if found else "no reason given"


def outcome(case):
    if case.get("status") == "run":
        return "passed"
    element = case.find("skipped")
    # A program that is not there is "notrun" as well.
    if element is not None and element.get("message", "").startswith("SKIP_"):
        return "skipped"
    return "failed"


N_LINES = 12  # shown of each failure


def why_failed(case):
    """What unittest and Criterion say of each failure, or else the end of the output: a few lines."""
    output = (case.findtext("system-out") or "").rstrip()
    blocks = re.findall(r"^={70}\n((?:FAIL|ERROR): .*?)(?=\n={70}$|\n-{70}\nRan |\Z)", output, re.M | re.S)
    for block in blocks:
        lines = [line for line in block.splitlines() if line and not line.startswith("-----")]
        yield lines[0]
        yield from lines[max(1, len(lines) - N_LINES):]
    if not blocks:
        lines = output.splitlines()
        told = [line for line in lines if re.match(r"\[(----|FAIL|CRASH|TIMEOUT|ERR *)\]|\d+: ", line)]
        yield from (told or lines)[-N_LINES:]


def write_not_built(name, path):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'<testsuite><testcase name="build" classname="{name}" status="fail"/></testsuite>\n')


def main():
    if sys.argv[1] == "--not-built":
        write_not_built(sys.argv[2], sys.argv[3])
        return 0
    count = {"passed": 0, "failed": 0, "skipped": 0}
    print()
    for path in sys.argv[1:]:
        phase = os.path.basename(path).rsplit(".", 1)[0].split("-", 1)[-1]
        try:
            cases = list(xml.parse(path).getroot().iter("testcase"))
        except (OSError, xml.ParseError) as error:
            print(f"failed: {phase}: {error}")
            count["failed"] += 1
            continue
        for case in cases:
            result = outcome(case)
            count[result] += 1
            if result == "skipped":
                print(f"skipped: {phase} {case.get('name')}: {why_skipped(case)}")
            elif result == "failed":
                print(f"failed: {phase} {case.get('name')}", *why_failed(case), sep="\n    ")
    line = f"{count['passed']} passed, {count['failed']} failed"
    print(line + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 1 if count["failed"] or not count["passed"] else 0


sys.exit(main())
