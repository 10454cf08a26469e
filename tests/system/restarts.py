# SPDX-License-Identifier: MIT
"""msgd restarts: libmsgd registers again by itself; systemd's activation hands over the control socket."""

import json
import os
import pathlib
import signal
import socket
import sqlite3
import struct
import sys
import threading

from msgd_keeper import Keeper, KeptDaemon
from msgd_test import (Connection, Program, Story, build_path, free_port, main, numbered, run, send_udp, udp_socket,
                       wait_until)


def arrived(progress):
    """How many messages drain has in its hands (tests/support/progress.h)."""
    return struct.unpack_from("=Q", pathlib.Path(progress).read_bytes())[0]


# Leaves what a msgd of another time would: a segment of the stash, of version argv[2]; in it memory of endpoints that
# says nothing of itself. The next time it is the program behind that.
FROM_ANOTHER_TIME = r"""
import array, os, socket, struct, sys
been_here, version, program = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
if os.path.exists(been_here):
    os.execv(program[0], program)
open(been_here, "w").close()
kept, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
writing.send(struct.pack("=8sIIQ", b"msgdstsh", version, 0, 1))
memory = os.memfd_create("endpoints")
os.ftruncate(memory, 1 << 26)
writing.sendmsg([struct.pack("=IIQQQ", 3, 1, 0, 1, 0)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))])
keeper = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
keeper.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
socket.send_fds(keeper, [b"FDSTORE=1\nFDNAME=msgd-stash-1\nFDPOLL=0"], [kept.fileno()])
"""


# What version 1 of the database was.
VERSION_1 = """
ALTER TABLE endpoint DROP COLUMN crc;
ALTER TABLE registration DROP COLUMN crc;
ALTER TABLE registration RENAME COLUMN content TO text;
ALTER TABLE remembered DROP COLUMN crc;
ALTER TABLE quarantine DROP COLUMN crc;
DROP TABLE damaged_row;
PRAGMA user_version = 1;
"""


def make_version_1(path, registration):
    """Of a database whose msgd has ended, with one registration."""
    database = sqlite3.connect(path)
    database.executescript(VERSION_1)
    database.execute("UPDATE registration SET text = ?", [json.dumps(registration)])
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


class Restarts(Story):
    def test_a_consumer_on_libmsgd_is_there_again_after_a_restart(self):
        msgd = self.start()
        consumer = msgd.spawn("msgrecv", "thermo", "--port", "0")
        consumer.wait_for_stderr("thermo at")
        msgd.connections.clear()  # the consumer outlives this daemon
        self.addCleanup(consumer.kill)
        for number in (signal.SIGTERM, signal.SIGKILL):
            msgd.send("thermo", ["1"])
            wait_until(lambda: "1" in consumer.lines(), 5, "the message before the restart")
            port = msgd.endpoint("thermo")["port"]
            if number == signal.SIGTERM:
                msgd.stop()
            else:
                msgd.kill()
            msgd.sent.clear()
            msgd.launch()
            again = msgd.wait_for_state("thermo", "attached", 20)
            self.assertEqual(again["port"], port, "the endpoint is on another port")
            before = len(consumer.lines())
            msgd.send("thermo", ['"after"'])
            consumer.wait_for_lines(before + 1)
            self.assertEqual(consumer.lines()[-1], '"after"')
        self.assertEqual(consumer.stop(), 0)

    def test_a_database_of_version_1_has_all_that_it_had(self):
        msgd = self.start()
        connection, reply = msgd.register("old", lease_s=-1, durable=True)
        connection.close()
        port = reply["port"]
        for _ in range(2):
            sent = msgd.tool("msgsend", "--ack=stored", "old", "1")
            self.assertEqual(sent.returncode, 0, sent.stderr)
        msgd.stop()
        make_version_1(msgd.state_path / "msgd.db", {
            "uid": os.geteuid(), "generation": 1, "since": 1764000000000000000, "static": False, "address": "127.0.0.1",
            "port": port, "settings": {"name": "old", "lease_s": -1, "durable": True, "when_full": "spool"}})
        for _ in range(2):  # the name is not saved meanwhile
            msgd.launch()
            endpoint = msgd.endpoint("old")
            self.assertEqual((endpoint["port"], endpoint["lease_s"], endpoint["durable"]), (port, -1, True))
            self.assertEqual(endpoint["spool"]["messages"] + endpoint["ledger"]["queued"], 2)
            msgd.stop()

    def test_many_endpoints_of_one_consumer_come_back(self):
        msgd = self.start()
        drain = msgd.spawn("drain", "many", "--endpoints", "100", "--verify")
        drain.wait_for_stderr("registered 100")
        msgd.connections.clear()
        self.addCleanup(drain.kill)
        ports = {e["name"]: e["port"] for e in msgd.call("List")["endpoints"]}
        msgd.kill()
        msgd.launch()
        wait_until(lambda: {e["name"]: e["port"] for e in msgd.call("List")["endpoints"]} == ports, 20, "100 endpoints")
        wait_until(lambda: all(e["state"] == "attached" for e in msgd.call("List")["endpoints"]), 20, "100 consumers")
        for name in ports:
            msgd.send(name, numbered(1, 1))
        wait_until(lambda: all(e["ledger"]["delivered"] == 1 for e in msgd.call("List")["endpoints"]), 10, "100 messages")
        self.assertEqual(drain.stop(), 0)
        self.assertEqual(json.loads(drain.stdout)["received"], 100)

    def test_messages_held_from_before_stay_readable(self):
        """It holds ten messages while the daemon is killed, and goes on with the next ones."""
        msgd = self.start()
        progress = f"{self.folder}/progress"
        drain = msgd.spawn("drain", "thermo", "--verify", "--count", "20", "--hold", "--progress", progress)
        drain.wait_for_stderr("attached")
        msgd.connections.clear()
        self.addCleanup(drain.kill)
        msgd.send("thermo", numbered(1, 10))
        msgd.wait_for_ledger("thermo", queued=10)
        wait_until(lambda: arrived(progress) == 10, 10, "the consumer to hold ten messages")
        msgd.kill()
        msgd.sent.clear()
        msgd.launch()
        msgd.wait_for_state("thermo", "attached", 20)
        msgd.send("thermo", numbered(11, 10))
        self.assertEqual(drain.wait(), 0, drain.stderr)
        self.assertEqual(json.loads(drain.stdout)["torn"], 0)

    def test_a_receive_client_is_told_by_the_end_of_its_connection(self):
        msgd = self.start()
        consumer = msgd.receive("thermo")
        msgd.stop()
        with self.assertRaises(Exception) as caught:
            consumer.connection.receive(5)
        self.assertIn(type(caught.exception).__name__, ("Closed", "ConnectionResetError"))

    def test_static_endpoints_are_bound_again(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]})
        msgd.kill()
        msgd.launch()
        msgd.send("alarms", ["1"])
        self.assertEqual(msgd.receive("alarms").payloads(1), ["1"])


class Registrations(Story):
    """What was registered is there again, also when nobody asks for it."""

    def settings(self, msgd, name):
        """What a restart must not change."""
        endpoint = msgd.endpoint(name)
        changing = ("state", "away_since", "lease_left_s", "consumers", "ledger", "rate", "mailbox", "owner", "sources")
        return {**{k: v for k, v in endpoint.items() if k not in changing}, "uid": endpoint["owner"]["uid"]}

    def end(self, msgd, number):
        if number == signal.SIGTERM:
            msgd.stop()
        else:
            msgd.kill()

    def test_a_name_survives_with_its_port_and_all_that_was_asked_for(self):
        msgd = self.start()
        c = msgd.connect()
        c.call("Register", name="thermo", mode="share", lease_s=100, mailbox_bytes=300000, when_full="drop-old",
               allow=["127.0.0.0/8"], gro=False, max_message_bytes=1000, sessions="auto")
        c.call("Register", name="both", address="*")
        before = {name: self.settings(msgd, name) for name in ("thermo", "both")}
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            self.end(msgd, number)
            msgd.close_connections()
            msgd.launch()
            self.assertEqual({name: self.settings(msgd, name) for name in before}, before)
            self.assertEqual(msgd.endpoint("thermo")["state"], "away")
            self.assertGreater(msgd.endpoint("thermo")["lease_left_s"], 90, "the lease starts anew")
        again = msgd.connect().call("Register", name="thermo")
        self.assertTrue(again["resumed"])
        self.assertEqual(again["generation"], before["thermo"]["generation"] + 1)

    def test_a_change_survives(self):
        msgd = self.start()
        c = msgd.connect()
        c.call("Register", name="thermo")
        port = c.call("Register", name="thermo", lease_s=77, port=free_port())["port"]
        msgd.kill()
        msgd.close_connections()
        msgd.launch()
        endpoint = msgd.endpoint("thermo")
        self.assertEqual((endpoint["lease_s"], endpoint["port"]), (77, port))

    def test_what_was_released_stays_away(self):
        msgd = self.start()
        c = msgd.connect()
        c.call("Register", name="stays")
        c.call("Register", name="goes")
        c.call("Release", name="goes")
        msgd.kill()
        msgd.close_connections()
        msgd.launch()
        self.assertEqual([e["name"] for e in msgd.call("List")["endpoints"]], ["stays"])

    def test_a_lease_of_nothing_leaves_time_to_come_back(self):
        msgd = self.start()
        c = msgd.connect()
        port = c.call("Register", name="brief", lease_s=0)["port"]
        msgd.kill()
        msgd.close_connections()
        msgd.launch()
        c = msgd.connect()
        self.assertEqual(c.call("Register", name="brief", lease_s=0)["port"], port)
        c.close()
        wait_until(lambda: msgd.find("brief") is None, 5, "the lease of nothing to end")

    def test_a_lease_ends_after_a_restart_too(self):
        msgd = self.start()
        msgd.connect().call("Register", name="brief", lease_s=0)
        msgd.kill()
        msgd.close_connections()
        msgd.launch()
        wait_until(lambda: msgd.find("brief") is None, 20, "the lease to end")
        msgd.call("Register", name="last", port=0)  # its answer says that what was before it is on disk, too
        msgd.kill()
        msgd.launch()
        self.assertIsNone(msgd.find("brief"))

    def test_what_waits_at_an_endpoint_that_cannot_be_opened_waits_on(self):
        """Its address is another's for a time, in which msgd is killed and started again."""
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]}, kind=KeptDaemon)
        msgd.call("Register", name="other", port=0, lease_s=-1)
        numbers = [str(n) for n in range(20)]
        for name in ("alarms", "other"):
            msgd.send(name, numbers)
            msgd.wait_for_ledger(name, queued=20)
        taken = udp_socket()
        msgd.write_config({"endpoints": [{"name": "alarms", "port": taken.getsockname()[1]}]})
        for end in (msgd.kill, msgd.restart, msgd.kill):
            end()
            msgd.wait_for_state("alarms", "pending")
            self.assertEqual(msgd.ledger("other")["queued"], 20)
        taken.close()
        msgd.wait_for_state("alarms", "held", 20)
        for name in ("alarms", "other"):
            consumer = msgd.receive(name)
            self.assertEqual(consumer.payloads(20), numbers)
            consumer.close()
            ledger = msgd.wait_for_ledger(name, delivered=20, queued=0)
            self.assertEqual(sum(ledger["dropped"].values()), 0)
        msgd.send("alarms", ["1"])
        msgd.wait_for_ledger("alarms", delivered=20, queued=1)
        msgd.kill()
        msgd.wait_for_ledger("alarms", delivered=20, queued=1)

    def test_an_endpoint_that_could_not_be_opened_can_go(self):
        taken = udp_socket()
        self.addCleanup(taken.close)
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]}, kind=KeptDaemon)
        msgd.send("alarms", ["1"])
        msgd.wait_for_ledger("alarms", queued=1)
        msgd.write_config({"endpoints": [{"name": "alarms", "port": taken.getsockname()[1]}]})
        msgd.kill()
        msgd.wait_for_state("alarms", "pending")
        msgd.sent.clear()
        msgd.write_config({})
        msgd.call("Reload")
        self.assertIsNone(msgd.find("alarms"))
        for end in (msgd.restart, msgd.kill):
            end()
            self.assertIsNone(msgd.find("alarms"))

    def test_the_configuration_decides_which_static_endpoints_there_are(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}, {"name": "old", "port": 0}]})
        port = msgd.endpoint("alarms")["port"]
        msgd.call("Register", name="last", port=0)  # its answer says that those before it are on disk, too
        msgd.kill()
        msgd.write_config({"endpoints": [{"name": "alarms", "port": 0, "mailbox_bytes": 500000}]})
        msgd.launch()
        self.assertEqual(sorted(e["name"] for e in msgd.call("List")["endpoints"]), ["alarms", "last"])
        endpoint = msgd.endpoint("alarms")
        self.assertEqual((endpoint["port"], endpoint["mailbox_bytes"]), (port, 500000))

    def test_a_second_msgd_does_not_get_the_same_database(self):
        msgd = self.start()
        other = Program([build_path("msgd"), "--socket", f"{self.folder}/other.sock", "--state", str(msgd.state_path),
                         "--config", str(msgd.config_path)], self.folder)
        self.addCleanup(other.kill)
        self.assertEqual(other.wait(), 69)
        self.assertIn("msgd.db", other.stderr)


class Reader(threading.Thread):
    """Reads what is said at NOTIFY_SOCKET; descriptors that come with it are not kept."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.said = []
        self.start()

    def run(self):
        while True:
            self.said.append(self.socket.recv(4096).decode())

    def wait_for(self, line):
        wait_until(lambda: any(line in said for said in list(self.said)), 10, f"{line} to be told")


class Activation(Story):
    def test_what_a_msgd_of_another_time_has_left_is_refused_and_stays(self):
        """By the stash, by the memory in it; and again when msgd is started again, for nothing was taken."""
        for version, said in ((99, "the descriptors that were kept are of version 99"), (2, "the memory of the last msgd is of a version")):
            with self.subTest(said=said):
                folder = os.path.join(self.folder, str(version))
                os.makedirs(folder)
                keeper = Keeper([sys.executable, "-c", FROM_ANOTHER_TIME, f"{folder}/been-here", version, build_path("msgd"),
                                 "--socket", f"{folder}/s", "--state", f"{folder}/state"], folder)
                self.addCleanup(keeper.kill)
                wait_until(lambda k=keeper: len(k.events("end")) >= 3, 30, "three ends")
                self.assertEqual([e["status"] for e in keeper.events("end")[:3]], [0, 69, 69], keeper.stderr)
                self.assertGreaterEqual(keeper.stderr.count(said), 2, keeper.stderr)

    def test_the_control_socket_of_systemd_is_taken(self):
        self.need_program("systemd-socket-activate")
        path = os.path.join(self.folder, "activated.sock")
        config = os.path.join(self.folder, "msgd.json")
        with open(config, "w", encoding="ascii") as f:
            f.write("{}")
        daemon = Program(["systemd-socket-activate", f"--listen={path}", "--fdname=control", build_path("msgd"), "--state",
                          self.folder, "--config", config], self.folder)
        self.addCleanup(daemon.kill)

        def connected():
            try:
                return Connection(path)
            except (FileNotFoundError, ConnectionRefusedError):
                return None  # not bound, or bound and not listening yet

        with wait_until(connected, 5, "the socket to listen") as c:
            self.assertEqual(c.call("GetInfo")["socket"], path)
            port = c.call("Register", name="thermo")["port"]
            c.stream("Receive", name="thermo")
            send_udp("127.0.0.1", port, ["1"])
            self.assertEqual(c.receive(10)["payload"], "1")
        self.assertEqual(daemon.stop(), 0, daemon.stderr)
        self.assertTrue(os.path.exists(path), "the socket is systemd's and must stay")

    def test_readiness_is_told_when_the_socket_answers(self):
        path = os.path.join(self.folder, "notify.sock")
        reader = Reader(path)
        msgd = self.start(environment={"NOTIFY_SOCKET": path})
        reader.wait_for("READY=1")
        reader.said.clear()
        msgd.program.send_signal(signal.SIGHUP)
        reader.wait_for("RELOADING=1")
        reader.wait_for("READY=1")

    def test_the_watchdog_is_fed(self):
        path = os.path.join(self.folder, "notify.sock")
        reader = Reader(path)
        self.start(environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
        reader.wait_for("WATCHDOG=1")


class AsAnyUserWould(Story):
    def test_msgd_needs_no_option_where_a_user_has_a_runtime_directory(self):
        runtime = os.path.join(self.folder, "run")
        os.mkdir(runtime, 0o700)
        environment = {**os.environ, "XDG_RUNTIME_DIR": runtime, "XDG_STATE_HOME": runtime + "/state"}
        environment.pop("MSGD_SOCKET", None)
        user = None
        if os.geteuid() == 0:
            user = 65534
            os.chown(runtime, user, user)
        daemon = Program([build_path("msgd")], self.folder, uid=user, env=environment)
        self.addCleanup(daemon.kill)
        daemon.wait_for_stderr(f"serves {runtime}/msgd/msgd.sock")
        options = {"env": environment}
        if user is not None:
            options["uid"] = user
        consumer = Program([build_path("msgrecv"), "thermo", "--count", "1"], self.folder, **options)
        self.addCleanup(consumer.kill)
        consumer.wait_for_stderr("thermo at")
        self.assertEqual(run([build_path("msgsend"), "thermo", "1"], **options).returncode, 0)
        self.assertEqual(consumer.wait(), 0)
        self.assertEqual(consumer.lines(), ["1"])
        self.assertEqual(daemon.stop(), 0, daemon.stderr)


main()
