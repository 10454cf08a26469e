# SPDX-License-Identifier: MIT
"""The keeper (tests/support/keeper.c), on which stories of restarts stand, does what systemd would."""

import json
import os
import signal
import sys

from msgd_keeper import Keeper, KeptDaemon
from msgd_test import Connection, Story, main, wait_until

# Says on stderr what it was started with; then does what the file says, a line a message: the text
# (with | for LF), a blank, and how many new sockets go with it. At the end it waits for a signal.
COMMAND = """
import json, os, signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
n = int(os.environ.get("LISTEN_FDS", "0"))
names = os.environ["LISTEN_FDNAMES"].split(":") if n else []
found = {}
for i, name in enumerate(names):
    s = socket.socket(fileno=3 + i)
    try:
        found.setdefault(name, []).append(s.recv(64, socket.MSG_DONTWAIT).decode())
    except OSError:
        found.setdefault(name, []).append(None)
print("found", json.dumps({"mine": n == 0 or os.environ["LISTEN_PID"] == str(os.getpid()), "n": n, "names": found}), file=sys.stderr, flush=True)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(chr(0) + os.environ["NOTIFY_SOCKET"][1:])
for line in open(sys.argv[1]):
    text, n = line.split()
    fds, others = [], []
    for i in range(int(n)):
        mine, other = socket.socketpair()
        mine.send(b"hello%d" % i)
        fds.append(other.fileno())
        others += [mine, other]
    if text == "end":
        sys.exit(int(n))
    text = text.replace("|", chr(10))
    if "twice" in text:
        socket.send_fds(notify, [text.encode()], fds)
    socket.send_fds(notify, [text.encode()], fds) if fds else notify.send(text.encode())
    if "barrier" in text:
        reading, writing = os.pipe()
        socket.send_fds(notify, [b"BARRIER=1"], [writing])
        os.close(writing)
        os.read(reading, 1)
    if "hang-up" in text:
        [s.close() for s in others]
    kept = globals().setdefault("kept", []) + others
signal.pause()
"""


class TheKeeper(Story):
    def keep(self, *orders, **options):
        self.orders = os.path.join(self.folder, "orders")
        self.order(*orders)
        keeper = Keeper([sys.executable, "-c", COMMAND, self.orders], self.folder, **options)
        self.addCleanup(keeper.kill)
        return keeper

    def order(self, *orders):
        """What the command does from its next start on."""
        with open(self.orders, "w", encoding="ascii") as f:
            f.writelines(f"{line}\n" for line in orders)

    def found(self, keeper, n):
        """What the n-th start of the command was given."""
        def lines():
            return [line for line in keeper.stderr.splitlines() if line.startswith("found ")]
        wait_until(lambda: len(lines()) >= n, 10, f"{n} starts")
        return json.loads(lines()[n - 1].partition(" ")[2])

    def kill(self, keeper):
        keeper.wait_ready()
        os.kill(keeper.main_pid(), signal.SIGKILL)

    def test_what_was_stored_is_there_after_a_kill(self):
        keeper = self.keep("FDSTORE=1|FDNAME=a|FDPOLL=0 2", "FDSTORE=1|FDPOLL=0|FDNAME=b 1", "READY=1 0")
        self.kill(keeper)
        self.assertEqual(self.found(keeper, 1), {"mine": True, "n": 0, "names": {}})
        self.assertEqual(self.found(keeper, 2), {"mine": True, "n": 3, "names": {"a": ["hello0", "hello1"], "b": ["hello0"]}})
        self.assertEqual(keeper.wait_for("end")["signal"], signal.SIGKILL)

    def test_what_was_removed_by_name_is_not(self):
        keeper = self.keep("FDSTORE=1|FDNAME=a|FDPOLL=0 2", "FDSTORE=1|FDNAME=b|FDPOLL=0 1", "FDSTOREREMOVE=1|FDNAME=a 0",
                           "READY=1 0")
        self.kill(keeper)
        self.assertEqual(self.found(keeper, 2)["names"], {"b": ["hello0"]})

    def test_the_other_side_of_a_pair_hangs_up(self):
        """Without FDPOLL=0 the descriptor is given back, as field experience with systemd says."""
        keeper = self.keep("FDSTORE=1|FDNAME=hang-up|FDPOLL=0 1", "FDSTORE=1|FDNAME=hang-up-watched 1", "READY=1 0")
        keeper.wait_for("broken")
        self.kill(keeper)
        self.assertEqual(self.found(keeper, 2)["names"], {"hang-up": ["hello0"]})

    def test_stored_twice_is_stored_once_and_the_bound_holds(self):
        keeper = self.keep("FDSTORE=1|FDNAME=twice|FDPOLL=0 2", "FDSTORE=1|FDNAME=c|FDPOLL=0 2", "READY=1 0", max_stored=3)
        self.kill(keeper)
        self.assertEqual({name: len(fds) for name, fds in self.found(keeper, 2)["names"].items()}, {"twice": 2, "c": 1})

    def test_a_barrier_is_passed_when_all_before_it_has_been_read(self):
        keeper = self.keep("FDSTORE=1|FDNAME=barrier|FDPOLL=0 1", "READY=1 0")
        keeper.wait_ready()
        self.assertEqual(keeper.wait_for("stored")["n_stored"], 1)

    def test_its_socket_comes_first(self):
        path = os.path.join(self.folder, "control.sock")
        keeper = self.keep("FDSTORE=1|FDNAME=a|FDPOLL=0 1", "READY=1 0", listen=path)
        self.kill(keeper)
        self.assertEqual(list(self.found(keeper, 2)["names"]), ["msgd.socket", "a"])
        self.assertEqual(keeper.stop(), 0)

    def test_it_ends_as_its_command_does(self):
        for status in (64, 78):
            keeper = self.keep(f"end {status}")
            self.assertEqual(keeper.wait(), status)
        keeper = self.keep("end 1")
        self.assertEqual(keeper.wait(30), 1)
        self.assertEqual(len(keeper.events("start")), 20)

    def test_a_command_that_ends_is_started_again(self):
        keeper = self.keep("READY=1 0", "end 0")
        keeper.wait_for("ready", 30)
        self.order("FDSTORE=1|FDNAME=last|FDPOLL=0 1", "READY=1 0")
        keeper.wait_for("stored")
        keeper.wait_ready()
        self.assertEqual(keeper.stop(), 0)
        self.assertEqual({e.get("status") for e in keeper.events("end")}, {0})


class UnderTheKeeper(Story):
    def test_msgd_is_there_again_after_a_kill_and_a_restart(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]}, kind=KeptDaemon)
        for again in (msgd.kill, msgd.restart):
            before = msgd.pid
            self.report(f"{again.__name__}: ready again after", f"{again() * 1000:.0f} ms")
            self.assertNotEqual(msgd.pid, before)
            msgd.receive("alarms", ack="manual")
            self.assertEqual(msgd.endpoint("alarms")["state"], "attached")
            msgd.close_connections()

    def test_clients_wait_in_its_socket_while_msgd_is_away(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]}, kind=KeptDaemon)
        msgd.program.hold()
        msgd.strike()
        with Connection(msgd.socket) as c:
            msgd.program.resume()
            self.assertIn("alarms", [e["name"] for e in c.call("List")["endpoints"]])


main()
