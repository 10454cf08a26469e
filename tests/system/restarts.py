# SPDX-License-Identifier: MIT
"""msgd restarts: libmsgd registers again by itself; systemd's activation hands over the control socket."""

import json
import os
import pathlib
import signal
import socket
import struct

from msgd_test import Connection, Program, Story, build_path, main, numbered, run, send_udp, wait_until


def arrived(progress):
    """How many messages drain has in its hands (tests/support/progress.h)."""
    return struct.unpack_from("=Q", pathlib.Path(progress).read_bytes())[0]


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


class Activation(Story):
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
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            msgd = self.start(environment={"NOTIFY_SOCKET": path})
            said = notify.recv(4096).decode()
            self.assertIn("READY=1", said)
            msgd.program.send_signal(signal.SIGHUP)
            wait_until(lambda: "RELOADING=1" in (said := notify.recv(4096).decode()) or "READY=1" in said, 5, "the reload")

    def test_the_watchdog_is_fed(self):
        path = os.path.join(self.folder, "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            self.start(environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"})
            wait_until(lambda: "WATCHDOG=1" in notify.recv(4096).decode(), 5, "the watchdog to be fed")


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
