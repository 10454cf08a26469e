# SPDX-License-Identifier: MIT
"""Processes under test: programs with their output, what /proc says of them, and waiting for conditions."""

import os
import pathlib
import shlex
import signal
import subprocess
import time
import unittest

BUILD = pathlib.Path(os.environ.get("MSGD_TEST_BUILD", "build/dev")).resolve()
SOURCE = pathlib.Path(__file__).resolve().parents[2]
WRAPPER = shlex.split(os.environ.get("MSGD_TEST_WRAPPER", ""))
LONG = os.environ.get("MSGD_TEST_LONG", "") not in ("", "0")
NOBODY = 65534

SANITIZER_WORDS = (
    "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "ThreadSanitizer", "runtime error:",
    "AddressSanitizer:DEADLYSIGNAL", "Assertion `", "ERROR SUMMARY: 1", "Invalid read", "Invalid write",
    "definitely lost: 1",
)


def sanitizer():
    """"" or what the build was made with: "address,undefined", "thread"."""
    try:
        cache = (BUILD / "CMakeCache.txt").read_text()
    except OSError:
        return ""
    for line in cache.splitlines():
        if line.startswith("MSGD_SANITIZE:"):
            return line.partition("=")[2]
    return ""


SANITIZER = sanitizer()
# Time limits are for a fast build on an idle machine; these stretch them.
SLOWNESS = (20 if WRAPPER else 1) * (4 if SANITIZER else 1)
IS_INSTRUMENTED = bool(WRAPPER or SANITIZER)


def wait_until(condition, timeout=10, what="the condition"):
    """Waits until condition() is true and returns what it returned; fails in words after timeout seconds."""
    deadline = time.monotonic() + timeout * SLOWNESS
    pause = 0.001
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * SLOWNESS} s for {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def build_path(name):
    """A program of the build: the daemon, a tool, or a helper of tests and bench."""
    for folder in ("daemon", "tools", "tests/system", "bench", "client", "docs/examples"):
        path = BUILD / folder / name
        if path.exists():
            return str(path)
    raise AssertionError(f"{name} is not in {BUILD}; build it first")


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"process {pid} has no memory: has it ended?")


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def process_state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def complaint_in(text):
    """The first line in which a sanitizer, valgrind or an assertion speaks, or None."""
    for line in text.splitlines():
        if any(word in line for word in SANITIZER_WORDS):
            return line
    return None


def identity(uid):
    """Options of subprocess to be that user, where that is possible; the test is skipped where he has no way to the programs."""
    if uid is None or os.geteuid() != 0:
        return {}
    closed = [str(folder) for folder in (BUILD, *BUILD.parents) if folder.stat().st_mode & 0o001 == 0]
    if closed:
        raise unittest.SkipTest(f"other users have no way to {BUILD}: {closed[-1]} is closed to them (chmod o+x)")
    return {"user": uid, "group": uid, "extra_groups": []}


class Program:
    """A running program whose output goes to files, so that nothing ever blocks on a full pipe."""

    def __init__(self, arguments, folder, uid=None, **options):
        self.name = os.path.basename(arguments[0])
        stem = pathlib.Path(folder) / f"{self.name}-{time.monotonic_ns()}"
        self.stdout_path, self.stderr_path = f"{stem}.out", f"{stem}.err"
        options.update(identity(uid))
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            options.setdefault("stdout", out)
            options.setdefault("stderr", err)
            self.process = subprocess.Popen([str(a) for a in arguments], **options)
        self.pid = self.process.pid

    @property
    def stdout(self):
        return pathlib.Path(self.stdout_path).read_text(errors="replace")

    @property
    def stderr(self):
        return pathlib.Path(self.stderr_path).read_text(errors="replace")

    def lines(self):
        """Whole lines of stdout so far."""
        text = self.stdout
        return text.splitlines() if text.endswith("\n") else text.splitlines()[:-1]

    def is_running(self):
        return self.process.poll() is None

    def wait_for_lines(self, n, timeout=10):
        wait_until(lambda: len(self.lines()) >= n or not self.is_running(), timeout,
                   f"{n} lines from {self.name}; it has {len(self.lines())}")
        if len(self.lines()) < n:
            raise AssertionError(f"{self.name} ended after {len(self.lines())} of {n} lines: {self.stderr}")
        return self.lines()

    def wait_for_stderr(self, text, timeout=10):
        wait_until(lambda: text in self.stderr or not self.is_running(), timeout,
                   f"{text!r} on the stderr of {self.name}, which says {self.stderr!r}")
        if text not in self.stderr:
            raise AssertionError(f"{self.name} ended without saying {text!r}: {self.stderr}")

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=10):
        """Waits for its end and returns the exit status (negative: the signal that ended it)."""
        try:
            return self.process.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended in {timeout * SLOWNESS} s: {self.stderr}") from None

    def stop(self, number=signal.SIGTERM, timeout=10):
        if self.is_running():
            self.send_signal(number)
        return self.wait(timeout)

    def kill(self):
        if self.is_running():
            self.process.kill()
        self.process.wait()


def run(arguments, timeout=20, uid=None, **options):
    """Runs a program to its end. The result has returncode, stdout and stderr as text."""
    options.update(identity(uid))
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([str(a) for a in arguments], capture_output=True, text=True, errors="replace",
                          timeout=timeout * SLOWNESS, check=False, **options)
