# SPDX-License-Identifier: MIT
"""
valgrind_logs.py FOLDER FILE: looks through valgrind's logs (--quiet --track-fds=yes) for errors, lost memory and
descriptors that were left open, prints them, and writes the outcome as a JUnit file for summary.py.
"""
import glob
import re
import sys

# A descriptor that the program opened has a place in its code; others it was given.
LEFT_OPEN = re.compile(r"^==\d+== Open [^\n]*\n==\d+==    at ", re.M)
FAULTS = re.compile(
    r"Invalid (read|write|free)|Mismatched free|uninitialised|points to unaddressable|overlap in"
    r"|are (definitely|indirectly) lost|Process terminating with default action of signal (?!15|2 )")


def faults_of(text):
    return [match.group(0).splitlines()[0] for pattern in (LEFT_OPEN, FAULTS) for match in pattern.finditer(text)]


def main():
    folder, out = sys.argv[1:]
    logs = sorted(glob.glob(f"{folder}/*.log"))
    n_faults = 0
    for log in logs:
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        faults = faults_of(text)
        n_faults += len(faults)
        if faults:
            print(f"{log}: {faults}\n{text}")
    print(f"{len(logs)} programs under valgrind, {n_faults} faults")
    status = "run" if logs and not n_faults else "fail"
    with open(out, "w", encoding="utf-8") as f:
        f.write(f'<testsuite><testcase name="no errors, no leaks of memory or descriptors" status="{status}"/></testsuite>\n')


main()
