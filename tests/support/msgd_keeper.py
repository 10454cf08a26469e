# SPDX-License-Identifier: MIT
"""Programs under tests/support/keeper, which starts them again and keeps their descriptors, as systemd would."""

import contextlib
import json
import os
import signal

from msgd_process import Program, build_path, wait_until
from msgd_test import Daemon

__all__ = ["KeptDaemon", "Keeper"]


class Keeper(Program):
    """A keeper with its command. `listen`: the path of a socket that it holds, as msgd.socket does."""

    def __init__(self, command, folder, listen=None, max_stored=None, **options):
        self.seen, self.n_read = [], 0
        arguments = [build_path("keeper")]
        if listen:
            arguments += ["--listen", listen]
        if max_stored is not None:
            arguments += ["--max-stored", max_stored]
        super().__init__([*arguments, *command], folder, **options)

    def events(self, *kinds):
        """What has happened, in order, as dicts: all of it, or these kinds. tests/support/keeper.c says which there are."""
        with open(self.stdout_path, "rb") as file:  # thousands of kills: what was read is not read again
            file.seek(self.n_read)
            new, _, _ = file.read().rpartition(b"\n")
        self.n_read += len(new) + 1 if new else 0
        self.seen += [json.loads(line) for line in new.splitlines()]
        return [e for e in self.seen if e["event"] in kinds] if kinds else list(self.seen)

    def main_pid(self):
        """The main process; between two of them the one that has ended."""
        started = self.events("start", "mainpid")
        return started[-1]["pid"] if started else None

    def is_ready(self):
        """Whether the main process runs and has said so."""
        pid = self.main_pid()
        events = [e["event"] for e in self.events("ready", "end") if e["pid"] == pid]
        return bool(events) and events[-1] == "ready"

    def wait_for(self, kind, n=1, timeout=10):
        """Waits for the n-th event of the kind (from 1) and returns it."""
        wait_until(lambda: len(self.events(kind)) >= n or not self.is_running(), timeout, f"event {n} of kind {kind}")
        found = self.events(kind)
        assert len(found) >= n, f"the keeper ended after {len(found)} events {kind}: {self.stderr[-4000:]}"
        return found[n - 1]

    def wait_ready(self, timeout=10):
        wait_until(lambda: self.is_ready() or not self.is_running(), timeout, "the command to be ready")
        assert self.is_running(), f"the keeper has ended: {self.stderr[-4000:]}"

    def hold(self):
        """Until resume() it starts nothing and reads nothing: a command that ends stays away."""
        self.send_signal(signal.SIGSTOP)

    def resume(self):
        self.send_signal(signal.SIGCONT)

    def kill(self):
        """Ends it and its command at once."""
        if self.is_running():
            self.hold()  # it reaps nobody now: the number is the command's, or a dead one's, or nobody's any more
            if self.main_pid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.main_pid(), signal.SIGKILL)
        super().kill()


class KeptDaemon(Daemon):
    """A msgd under a keeper: self.start(kind=KeptDaemon). stop() and finish() end both; kill() and restart() only msgd."""

    def __init__(self, *arguments, listen=True, max_stored=None, **options):
        self.listen, self.max_stored = listen, max_stored
        super().__init__(*arguments, **options)

    @property
    def pid(self):
        """Of msgd; that of the keeper is program.pid."""
        return self.program.main_pid()

    def start_program(self, command):
        return Keeper(command, self.folder, listen=self.socket if self.listen else None, max_stored=self.max_stored,
                      uid=self.uid, env={**os.environ, **self.environment}, preexec_fn=self._set_limits)

    def launch(self):
        """Waits until it is ready, too: what is new in the configuration is known to a successor from then on."""
        super().launch()
        self.program.wait_ready()

    def strike(self, number=signal.SIGKILL):
        """Signals msgd, as it is: ready or not. Returns its pid."""
        pid = self.pid
        os.kill(pid, number)
        return pid

    def kill(self, number=signal.SIGKILL):
        """Kills msgd and waits until it is ready again. Returns the seconds from its end to that."""
        pid = self.strike(number)
        wait_until(lambda: self._since(pid) or not self.program.is_running(), 20, "msgd to be ready again")
        assert self._since(pid), f"the keeper has ended: {self.program.stderr[-4000:]}"
        self.last_end, *ready = self._since(pid)
        return ready[0]["time"] - self.last_end["time"]

    def _since(self, pid):
        """The end of this one and every readiness after it; nothing until there is both."""
        events = self.program.events("end", "ready")
        ends = [n for n, e in enumerate(events) if e["event"] == "end" and e["pid"] == pid]
        since = [e for e in events[ends[-1]:] if e["event"] == "ready"] if ends else []
        return [events[ends[-1]], *since] if since else []

    def restart(self):
        """An orderly restart, as systemctl restart: as kill()."""
        seconds = self.kill(signal.SIGTERM)
        assert self.last_end.get("status") == 0, f"msgd ended with {self.last_end}: {self.program.stderr[-4000:]}"
        return seconds
