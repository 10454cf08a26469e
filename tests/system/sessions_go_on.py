# SPDX-License-Identifier: MIT
"""Open sessions go on over an orderly restart; after a kill both sides are told."""

import json
import signal
import socket
import subprocess

from msgd_keeper import KeptDaemon
from msgd_session import Refused, SessionClient, SessionStory
from msgd_test import SLOWNESS, Story, main, wait_until

N = 2000
PADDING = "x" * 200


class SessionsGoOn(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(kind=KeptDaemon)
        self.server = self.msgd.spawn("msgrecv", "talk", "--sessions", "--exec", "cat")
        self.server.wait_for_stderr("talk at ")
        self.addCleanup(self.server.kill)
        self.client = self.msgd.spawn("msgconnect", f"127.0.0.1:{self.msgd.endpoint('talk')['port']}", stdin=subprocess.PIPE)
        self.client.wait_for_stderr("session ")
        self.addCleanup(self.client.kill)

    def say(self, numbers):
        for n in numbers:
            self.client.process.stdin.write(json.dumps([n, PADDING]).encode() + b"\n")
        self.client.process.stdin.flush()

    def heard(self):
        return [json.loads(line)[0] for line in self.client.lines()]

    def check_end(self, n):
        self.client.process.stdin.close()
        self.assertEqual(self.client.wait(30), 0, self.client.stderr)
        self.assertEqual(self.heard(), list(range(n)), "each once, in order")

    def test_three_restarts_in_the_middle_of_a_conversation(self):
        for i in range(3):
            self.say(range(i * N, i * N + N))
            wait_until(lambda: len(self.client.lines()) > i * N + N // 10, 20, "some of it to come back")
            self.report("ready again after", f"{self.msgd.restart() * 1000:.0f} ms")
        self.check_end(3 * N)

    def test_what_is_said_while_msgd_is_away_arrives(self):
        self.say(range(10))
        self.client.wait_for_lines(10)
        self.msgd.program.hold()
        self.msgd.strike(15)
        self.say(range(10, 20))
        self.msgd.program.resume()
        self.msgd.program.wait_for("ready", 2)
        self.client.wait_for_lines(20)
        self.check_end(20)

    def test_after_a_kill_the_client_is_told(self):
        self.say(range(10))
        self.client.wait_for_lines(10)
        self.msgd.kill()
        self.assertNotEqual(self.client.wait(20), 0)
        self.assertIn("msgconnect: ", self.client.stderr)
        self.msgd.sent.clear()


class Streams(SessionStory):
    """A server by Listen, as libmsgd does it, over every way in which one msgd follows the other."""

    def setUp(self):
        Story.setUp(self)

    def begin(self, **parameters):
        """One uid may have two sessions."""
        self.msgd = self.start({"limits": {"sessions_per_uid": 2}}, kind=KeptDaemon)
        self.port = self.msgd.call("Register", name="talk", lease_s=-1, sessions="auto", **parameters)["port"]
        self.listen = self.listening("talk")

    def opened(self):
        client = SessionClient(("127.0.0.1", self.port)).connect()
        self.addCleanup(client.close)
        self.event(self.listen, "open", session=client.session)
        return client

    def taken(self, client):
        """The server's end of a session's stream."""
        with self.msgd.connect() as c:
            self.assertEqual(c.call("Accept", session=client.session, descriptor=True), {"descriptor": 0})
            stream = socket.socket(fileno=c.descriptors[0])
        stream.settimeout(10 * SLOWNESS)
        self.addCleanup(stream.close)
        return stream

    def follow(self, way):
        """Another msgd serves, and listens again."""
        old = self.msgd.pid
        if way == "restart":
            self.msgd.restart()
        elif way == "upgrade":
            self.assertEqual(self.msgd.tool("msgctl", "upgrade").returncode, 0)
        else:
            self.msgd.strike(signal.SIGUSR2)
        wait_until(lambda: self.msgd.pid != old and self.msgd.program.is_ready(), 20, f"another msgd after {way}")
        self.listen.close()
        self.listen = self.listening("talk")

    def talk(self, client, stream, n):
        """A text each way."""
        client.write(f'"to {n}"')
        client.drain()
        wanted = f'\x1e"to {n}"\n'.encode()
        self.assertEqual(stream.recv(len(wanted), socket.MSG_WAITALL), wanted)
        stream.sendall(f'\x1e"from {n}"\n'.encode())
        self.assertEqual(client.read(), f'"from {n}"')

    def check_full(self):
        with self.assertRaisesRegex(Refused, "^full$"):
            SessionClient(("127.0.0.1", self.port)).connect()

    def test_sessions_that_are_served_go_on_and_count_as_before(self):
        for ports in ("own", "single"):
            with self.subTest(session_ports=ports):
                self.begin(session_ports=ports)
                clients = [self.opened() for _ in range(2)]
                streams = [self.taken(client) for client in clients]
                self.check_full()
                for n, way in enumerate(("restart", "upgrade", "SIGUSR2", "restart")):
                    self.follow(way)
                    for client, stream in zip(clients, streams):
                        self.talk(client, stream, n)
                    self.check_full()
                streams[0].close()
                self.assertEqual(clients[0].wait_ended(), "server ended")
                wait_until(lambda: len(self.msgd.endpoint("talk")["sessions"]) == 1, 10, "one session")
                client = self.opened()
                self.talk(client, self.taken(client), 9)
                self.check_full()
                self.msgd.sent.clear()

    def test_one_whose_server_has_not_taken_it_yet_is_offered_again(self):
        for ports in ("own", "single"):
            with self.subTest(session_ports=ports):
                self.begin(session_ports=ports)
                client = self.opened()
                client.write('"before"')
                client.drain()
                for way in ("restart", "upgrade", "SIGUSR2"):
                    self.follow(way)
                    self.event(self.listen, "open", session=client.session)
                stream = self.taken(client)
                self.assertEqual(stream.recv(100), b'\x1e"before"\n')
                self.follow("restart")
                self.talk(client, stream, 1)

    def test_a_receive_is_offered_it_too(self):
        self.begin()
        client = self.opened()
        client.write('"before"')
        client.drain()
        self.msgd.restart()
        server = self.msgd.receive("talk")
        self.event(server, "open", session=client.session)
        self.event(server, "message", payload='"before"')
        self.msgd.call("Write", session=client.session, payload='"after"')
        self.assertEqual(client.read(), '"after"')

    def test_one_that_nobody_takes_after_a_restart_ends_in_time(self):
        self.msgd = self.start({"limits": {"accept_timeout_s": 1}}, kind=KeptDaemon)
        self.port = self.msgd.call("Register", name="talk", lease_s=-1, sessions="auto")["port"]
        self.listen = self.listening("talk")
        client = self.opened()
        self.msgd.restart()
        self.assertEqual(client.wait_ended(), "timeout")
        wait_until(lambda: not self.msgd.endpoint("talk")["sessions"], 10, "it to be gone")


main()
