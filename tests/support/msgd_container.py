# SPDX-License-Identifier: MIT
"""
A Debian system of its own that has booted its systemd: systemd-nspawn with a network of its own (loopback alone), on
msgd_debian's system, which stays as it is: what is written goes to memory.
"""

import fcntl
import os
import pathlib
import signal

import msgd_debian
from msgd_process import Program, run, wait_until
from msgd_varlink import Connection

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
HAS_BOOTED = ("running", "degraded")
N_BOOTED = 0
NOT_BOOTED = None  # why one did not boot: the next ones are not waited for


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Inside(Program):
    """A program inside a container: the child of nsenter, which ends as it ends."""

    def send_signal(self, number):
        for pid in children(self.pid):
            os.kill(pid, number)

    def kill(self):
        if self.is_running():
            self.send_signal(signal.SIGKILL)
        super().kill()


class Container:
    """`shared` is a folder that the system sees, under the same path. Raises msgd_debian.Unavailable where it cannot be."""

    def __init__(self, folder, shared):
        global N_BOOTED, NOT_BOOTED
        assert NOT_BOOTED is None, f"as before: {NOT_BOOTED}"
        system = msgd_debian.make()
        # One at a time: without a systemd around them two would share a cgroup.
        self.lock = open("/run/lock/msgd-container", "wb")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        N_BOOTED += 1
        self.name = f"msgd-test-{os.getpid()}-{N_BOOTED}"
        # Where systemd runs this machine, it gives the container a cgroup; elsewhere there is nobody to ask.
        alone = [] if os.path.isdir("/run/systemd/system") else ["--keep-unit"]
        self.program = Program(["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--boot", "--kill-signal=SIGKILL", "--directory", system,
                                "--volatile=overlay", "--machine", self.name, "--private-network", "--register=no", *alone,
                                "--settings=no", "--link-journal=no", "--console=pipe", f"--bind-ro={shared}"], folder)
        try:
            self.leader = wait_until(self._leader, 30, "systemd-nspawn to start a systemd")
            wait_until(lambda: self._has_booted() or not self.program.is_running(), 90, "the container to boot")
            self._must_run()
        except BaseException as reason:
            NOT_BOOTED = reason
            self.stop()
            raise

    def _must_run(self):
        if not self.program.is_running():
            said = (self.program.stdout + self.program.stderr).strip().splitlines() or ["nothing"]
            raise msgd_debian.Unavailable(f"systemd-nspawn cannot boot a system here; it says: {said[-1]}")

    def _leader(self):
        self._must_run()
        for pid in children(self.program.pid):
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid
        return None

    def _has_booted(self):
        return self.run("systemctl", "is-system-running", is_expected=None).stdout.strip() in HAS_BOOTED

    def _inside(self, command, uid, groups):
        user = [] if uid is None else ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}", "--"]
        return ["nsenter", "-t", self.leader, "--all", "--", "env", "--chdir=/", *user, *command]

    def run(self, *command, uid=None, groups=None, is_expected=True, timeout=60, **options):
        """Runs a command inside to its end, which must be as expected: well, badly, or (None) either."""
        result = run(self._inside(command, uid, groups), timeout=timeout, env=ENVIRONMENT, **options)
        assert is_expected in (None, result.returncode == 0), \
            f"{command} ended with {result.returncode}: {result.stdout}{result.stderr}\n{self.journal()}"
        return result

    def says(self, *command, **options):
        """What a command inside prints."""
        return self.run(*command, **options).stdout.strip()

    def spawn(self, folder, *command, uid=None, groups=None, **options):
        """A program inside; its output goes to files in `folder`."""
        return Inside(self._inside(command, uid, groups), folder, env=ENVIRONMENT, **options)

    def spawn_on_network(self, folder, *command):
        """A program of this machine, on the container's network."""
        return Program(["nsenter", "-t", self.leader, "--net", "--", *command], folder)

    def path(self, path):
        """A file of the container, as this machine sees it."""
        return pathlib.Path(f"/proc/{self.leader}/root{path}")

    def call(self, method, **parameters):
        """One call to the msgd inside."""
        with Connection(str(self.path("/run/msgd/msgd.sock")), timeout=20) as c:
            return c.call(method, **parameters)

    def journal(self):
        if not self.program.is_running():
            return ""
        return run(self._inside(["journalctl", "--no-pager", "--lines=60"], None, None), env=ENVIRONMENT).stdout

    def stop(self):
        """At once: systemd-nspawn kills what is inside, where nothing is worth an orderly end, and cleans up."""
        self.program.stop()
        self.lock.close()
