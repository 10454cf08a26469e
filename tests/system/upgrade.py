# SPDX-License-Identifier: MIT
"""msgd's program is started anew and takes over; one that cannot take over changes nothing."""

import array
import ctypes
import json
import os
import shutil
import signal
import socket
import sys

from msgd_test import Daemon, Program, Story, build_path, main, send_udp, wait_until

PR_SET_CHILD_SUBREAPER = 36


class Adopted:
    """A successor: no child of this process before its parent ended, in place of a Program."""

    def __init__(self, pid, former):
        self.pid, self.former = pid, former
        self.status = None

    @property
    def stderr(self):
        return self.former.stderr

    def is_running(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is None

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=10):
        wait_until(lambda: not self.is_running(), timeout, "the successor to end")
        return self.status

    def kill(self):
        if self.is_running():
            self.send_signal(signal.SIGKILL)
            self.wait()


class Upgradable(Daemon):
    """A msgd whose program is a copy, which a test may change."""

    def command(self):
        self.file = self.folder / "program"
        if not self.file.exists():
            shutil.copy(build_path("msgd"), self.file)
        command = super().command()
        return [str(self.file) if word == build_path("msgd") else word for word in command]

    def replace(self, content):
        """Other content under the same name; the running program keeps its own."""
        self.file.unlink()
        if content is not None:
            self.file.write_text(content)
            self.file.chmod(0o755)

    def succeeded(self, pid):
        """The former one has ended well, and `pid` serves in its place."""
        status = self.program.wait(20)
        assert status == 0, f"the old msgd ended with {status}: {self.program.stderr}"
        self.program = Adopted(pid, self.program)

    def upgrade(self):
        reply = self.call("Upgrade")
        self.succeeded(reply["pid"])
        return reply


# A successor that speaks as one and then does what MODE says.
FAKE = f"""#!{sys.executable}
import os, socket, sys
old = socket.socket(fileno=int(os.environ["MSGD_HANDOVER"]))
old.recv(4096)
mode = "MODE"
if mode == "silent":
    sys.exit(3)
if mode == "refuses":
    old.send(b"nit is of last year")
    sys.exit(0)
old.send(b"c")
while True:
    message, descriptors, _, _ = socket.recv_fds(old, 4096, 64)
    for fd in descriptors:
        os.close(fd)
    if message[:1] == b"g":
        break
if mode == "says why":
    old.send(b"nit lost heart")
"""


class Upgrade(Story):
    def setUp(self):
        super().setUp()
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(self, config=None, **options):
        return super().start(config, kind=Upgradable, **options)

    def works(self, msgd, name):
        """A message goes through it."""
        consumer = msgd.receive(name)
        msgd.send(name, ['"still here"'])
        self.assertEqual(consumer.payloads(1), ['"still here"'])
        consumer.close()
        msgd.wait_for_state(name, "away")

    def refused(self, msgd):
        """An upgrade that fails; the daemon is as it was. Why."""
        pid, port = msgd.pid, msgd.endpoint("thermo")["port"]
        generation = msgd.endpoint("thermo")["generation"]
        reason = self.fails("TryAgain", msgd.call, "Upgrade")["reason"]
        self.assertEqual(msgd.call("GetInfo")["pid"], pid)
        self.assertEqual((msgd.endpoint("thermo")["port"], msgd.endpoint("thermo")["generation"]), (port, generation))
        self.works(msgd, "thermo")
        return reason

    def test_names_and_ports_go_over(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]})
        c = msgd.connect()
        c.call("Register", name="thermo", lease_s=100)
        c.call("Register", name="both", address="*")
        before = {e["name"]: (e["port"], e["generation"]) for e in msgd.call("List")["endpoints"]}
        old = msgd.pid
        for _ in range(3):
            reply = msgd.upgrade()
            self.assertNotEqual(reply["pid"], old)
            self.assertEqual(msgd.call("GetInfo")["pid"], reply["pid"])
            old = reply["pid"]
            self.assertEqual({e["name"]: (e["port"], e["generation"]) for e in msgd.call("List")["endpoints"]}, before)
        msgd.sent.clear()
        for name in ("alarms", "thermo", "both"):
            consumer = msgd.receive(name)
            msgd.send(name, ["1"])
            self.assertEqual(consumer.payloads(1), ["1"])
        msgd.stop()
        self.assertFalse(os.path.exists(msgd.socket), "the last one removes the socket")

    def test_the_sockets_are_the_same(self):
        """By their inodes, so that what the kernel has queued goes over."""
        msgd = self.start()
        msgd.connect().call("Register", name="thermo")

        def inode():
            port = msgd.endpoint("thermo")["port"]
            with open("/proc/net/udp", encoding="ascii") as table:
                return next(line.split()[9] for line in table if line.split()[1] == f"0100007F:{port:04X}")
        before = inode()
        msgd.upgrade()
        self.assertEqual(inode(), before)

    def test_a_consumer_on_libmsgd_goes_on(self):
        msgd = self.start()
        consumer = msgd.spawn("msgrecv", "thermo", "--port", "0")
        consumer.wait_for_stderr("thermo at")
        for i in range(2):
            msgd.send("thermo", [f"{i}"])
            consumer.wait_for_lines(i + 1)
            msgd.upgrade()
            msgd.wait_for_state("thermo", "attached", 20)
        msgd.send("thermo", ["2"])
        consumer.wait_for_lines(3)
        self.assertEqual(consumer.lines(), ["0", "1", "2"])

    def test_a_signal_does_it_too(self):
        msgd = self.start()
        msgd.connect().call("Register", name="thermo")
        old = msgd.pid
        msgd.program.send_signal(signal.SIGUSR2)
        info = wait_until(lambda: (info := msgd.answers()) and info["pid"] != old and info, 20, "the successor")
        msgd.succeeded(info["pid"])
        self.works(msgd, "thermo")

    def test_msgctl_says_who_serves(self):
        msgd = self.start()
        result = msgd.tool("msgctl", "upgrade", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        reply = json.loads(result.stdout)
        msgd.succeeded(reply["pid"])
        self.assertEqual(msgd.call("GetInfo")["pid"], reply["pid"])
        msgd.replace("#!/bin/sh\nexit 3\n")
        result = msgd.tool("msgctl", "upgrade")
        self.assertEqual(result.returncode, 75)
        self.assertIn("status 3", result.stderr)

    def test_two_who_ask_at_once_get_the_same_answer(self):
        msgd = self.start()
        first, second = msgd.connect(), msgd.connect()
        first.send("Upgrade")
        second.send("Upgrade")
        reply = first.receive(20)
        self.assertEqual(second.receive(20), reply)
        msgd.succeeded(reply["pid"])

    def test_others_may_not(self):
        self.need_root()
        msgd = self.start()
        result = msgd.tool("msgctl", "upgrade", uid=65534)
        self.assertEqual(result.returncode, 77, result.stderr)

    # What cannot take over.

    def start_with_thermo(self):
        msgd = self.start()
        msgd.connect().call("Register", name="thermo")
        msgd.close_connections()
        msgd.wait_for_state("thermo", "away")
        return msgd

    def test_a_configuration_with_an_error(self):
        msgd = self.start_with_thermo()
        msgd.write_config('{"workers": "many"}')
        self.assertIn("msgd.json:1:", self.refused(msgd))

    def test_a_program_that_does_not_start(self):
        msgd = self.start_with_thermo()
        msgd.replace("#!/bin/sh\nexit 3\n")
        self.assertIn("ended with status 3", self.refused(msgd))
        msgd.replace("#!/bin/sh\nkill -9 $$\n")
        self.assertIn("signal 9", self.refused(msgd))

    def test_a_program_that_says_no(self):
        msgd = self.start_with_thermo()
        msgd.replace(FAKE.replace("MODE", "refuses"))
        self.assertEqual(self.refused(msgd), "it is of last year")

    def test_a_program_that_is_gone_is_replaced_by_the_one_that_runs(self):
        msgd = self.start_with_thermo()
        msgd.replace(None)
        msgd.upgrade()
        self.works(msgd, "thermo")

    def test_a_program_that_fails_after_it_was_given_all(self):
        """The old one cannot go on, so it begins anew: the same process, sockets and names."""
        for mode, why in (("says why", "it lost heart"), ("ends", "status 0")):
            msgd = self.start_with_thermo()
            pid, port = msgd.pid, msgd.endpoint("thermo")["port"]
            msgd.replace(FAKE.replace("MODE", mode))
            self.assertIn(why, self.fails("TryAgain", msgd.call, "Upgrade")["reason"])
            wait_until(msgd.answers, 20, "the old one to serve again")
            self.assertEqual(msgd.call("GetInfo")["pid"], pid)
            self.assertEqual(msgd.endpoint("thermo")["port"], port)
            self.works(msgd, "thermo")

    def test_a_layout_that_is_not_known(self):
        """As an old one of another time would start it."""
        old, new = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with old, new:
            old.settimeout(20)
            old.send(b"vstash 99, something 1")
            successor = Program([build_path("msgd"), "--state", self.folder, "--socket", f"{self.folder}/s"], self.folder,
                                pass_fds=[new.fileno()], env={**os.environ, "MSGD_HANDOVER": str(new.fileno())})
            self.addCleanup(successor.kill)
            new.close()
            said = old.recv(4096).decode()
            self.assertTrue(said.startswith("n"), said)
            self.assertIn("stash 99, something 1", said)
            self.assertEqual(successor.wait(), 69, successor.stderr)
            self.assertFalse(os.path.exists(f"{self.folder}/s"))

    def test_an_old_one_that_dies_leaves_no_successor(self):
        old, new = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with old, new:
            successor = Program([build_path("msgd"), "--state", self.folder, "--socket", f"{self.folder}/s"], self.folder,
                                pass_fds=[new.fileno()], env={**os.environ, "MSGD_HANDOVER": str(new.fileno())})
            self.addCleanup(successor.kill)
            new.close()
            old.close()
            self.assertNotEqual(successor.wait(), 0)

    def test_what_is_handed_over_must_be_whole(self):
        """No listener, or something else in its place: it ends, and the old one sees that."""
        for descriptors, word in (([], b"g"), ([0, 1], b"l")):
            old, new = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with old, new:
                old.settimeout(20)
                successor = Program([build_path("msgd"), "--state", self.folder, "--socket", f"{self.folder}/s"],
                                    self.folder, pass_fds=[new.fileno()],
                                    env={**os.environ, "MSGD_HANDOVER": str(new.fileno())})
                self.addCleanup(successor.kill)
                new.close()
                old.send(b"v" + self.layouts())
                self.assertEqual(old.recv(4096)[:1], b"c")
                ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
                old.sendmsg([word], ancillary)
                self.assertEqual(old.recv(4096)[:1], b"n")
                self.assertNotEqual(successor.wait(), 0)

    def layouts(self):
        """What this program says when it is asked by one that has nothing in common with it."""
        old, new = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with old, new:
            old.settimeout(20)
            old.send(b"v")
            program = Program([build_path("msgd"), "--state", self.folder, "--socket", f"{self.folder}/s"], self.folder,
                              pass_fds=[new.fileno()], env={**os.environ, "MSGD_HANDOVER": str(new.fileno())})
            self.addCleanup(program.kill)
            said = old.recv(4096).decode()
            program.wait()
        return said.partition("layouts ")[2].partition(", the running")[0].encode()


main()
