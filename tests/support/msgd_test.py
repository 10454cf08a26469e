# SPDX-License-Identifier: MIT
"""
System tests run the real programs. A story is a file tests/system/<story>.py:

    from msgd_test import Story, main, send_udp

    class Greeting(Story):
        def test_a_datagram_reaches_the_consumer(self):
            msgd = self.start()
            consumer = msgd.receive("thermo")
            msgd.send("thermo", [b'{"temp": 21.5}'])
            self.assertEqual(consumer.take(1)[0]["payload"], '{"temp": 21.5}')

    main()

Every daemon that a test started is checked at the end: the ledger law for each endpoint, exit status 0
on SIGTERM, and nothing on stderr in which a sanitizer speaks. Environment: MSGD_TEST_BUILD (the build
directory), MSGD_TEST_WRAPPER (such as "valgrind -q"), MSGD_TEST_LONG=1 (the long forms).
"""

import collections
import ctypes
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import sys
import tempfile
import unittest

from msgd_process import (BUILD, IS_INSTRUMENTED, LONG, NOBODY, SANITIZER, SLOWNESS, SOURCE, WRAPPER,
                          Program, build_path, complaint_in, cpu_ticks, n_descriptors, process_state,
                          rss_kib, run, wait_until)
from msgd_varlink import Closed, Connection, VarlinkError

__all__ = [
    "BUILD", "IS_INSTRUMENTED", "LONG", "NOBODY", "SANITIZER", "SLOWNESS", "SOURCE", "WRAPPER", "Closed", "Connection",
    "Daemon", "Program", "Story", "VarlinkError", "build_path", "cpu_ticks", "enter_network_namespace",
    "free_port", "main", "n_descriptors", "numbered", "process_state", "rss_kib", "run", "send_udp",
    "udp_socket", "wait_until",
]

CLONE_NEWNET = 0x40000000


def free_port(address="127.0.0.1", kind=socket.SOCK_DGRAM):
    """A port that nobody has at this moment, outside msgd's own range."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as s:
        s.bind((address, 0))
        return s.getsockname()[1]


def udp_socket(address="127.0.0.1", timeout=10):
    """A bound UDP socket to send from and to get answers on."""
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(timeout * SLOWNESS)
    s.bind((address, 0))
    return s


def send_udp(address, port, payloads, source=None):
    """Sends each payload as one datagram; returns how many."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        if source:
            s.bind((source, 0))
        for n, payload in enumerate(payloads, 1):
            s.sendto(payload if isinstance(payload, bytes) else payload.encode(), (address, port))
    return n


def numbered(first, n, size=64):
    """JSON payloads {"n": first}, {"n": first + 1}... of `size` bytes, as tests/support/flood.c sends them."""
    for i in range(first, first + n):
        head = f'{{"n":{i},"pad":"'
        yield (head + "x" * (size - len(head) - 2) + '"}').encode()


def enter_network_namespace():
    """Moves this process into a network namespace of its own with lo up. False where that is not permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or not shutil.which("ip") or libc.unshare(CLONE_NEWNET) != 0:
        return False
    return run(["ip", "link", "set", "lo", "up"]).returncode == 0


def some_ports():
    """A part of msgd's own range, so that stray datagrams of another test's sender seldom meet this one. Another msgd of
    this host may have thousands of ports there: a part of which most are free, if there is one."""
    taken = ports_in_use()
    firsts = random.sample(range(10000, 24001), 100)
    first = min(firsts, key=lambda first: sum(first <= port < first + 1000 for port in taken) // 100)
    return [first, first + 999]


def ports_in_use():
    ports = set()
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as table:
                ports |= {int(line.split()[1].rpartition(":")[2], 16) for line in table.readlines()[1:]}
    return ports


class Receiver:
    """A consumer by Receive: its connection, and the port of its endpoint."""

    def __init__(self, daemon, name, **parameters):
        self.daemon, self.name = daemon, name
        before = self._n_consumers()
        self.connection = daemon.connect()
        self.connection.stream("Receive", name=name, **parameters)
        try:
            wait_until(lambda: self._n_consumers() > before, 10, f"{name} to be attached")
        except AssertionError:
            self.connection.receive(0.1)
            raise
        self.port = daemon.endpoint(name)["port"]

    def _n_consumers(self):
        endpoint = self.daemon.find(self.name)
        return sum(c["pid"] == os.getpid() and c["kind"] == "receiving" for c in endpoint["consumers"]) if endpoint else 0

    def take(self, n, timeout=10):
        """The next n messages."""
        return [self.connection.receive(timeout * SLOWNESS) for _ in range(n)]

    def payloads(self, n, timeout=10):
        return [m["payload"] for m in self.take(n, timeout)]

    def ack(self, message):
        self.connection.oneway("Ack", name=self.name, generation=message["generation"], seq=message["seq"])

    def reply(self, message, payload):
        self.connection.oneway("Reply", name=self.name, generation=message["generation"], seq=message["seq"],
                               payload=payload)

    def close(self):
        self.connection.close()


class Daemon:
    """A running msgd in a folder of its own."""

    def __init__(self, folder, config=None, uid=None, arguments=(), environment=None, max_descriptors=None):
        self.folder = pathlib.Path(folder)
        self.socket = str(self.folder / "msgd.sock")
        self.config_path = self.folder / "msgd.json"
        self.state_path = self.folder / "state"
        self.uid = uid
        self.arguments = list(arguments)
        self.environment = environment or {}
        self.max_descriptors = max_descriptors
        self.sent = collections.Counter()
        self.connections = []
        self.write_config(config if isinstance(config, str) else {"port_range": some_ports(), **(config or {})})
        self.state_path.mkdir(exist_ok=True)
        if uid is not None:
            os.chown(self.folder, uid, uid)
            os.chown(self.state_path, uid, uid)
        self.launch()

    def write_config(self, config):
        self.config_path.write_text(config if isinstance(config, str) else json.dumps(config))

    def command(self):
        return [*WRAPPER, build_path("msgd"), "--socket", self.socket, "--state", str(self.state_path),
                "--config", str(self.config_path), *self.arguments]

    def launch(self):
        """Starts the program and waits until its control socket answers."""
        self.program = self.start_program(self.command())
        wait_until(lambda: self.answers() or not self.program.is_running(), 10, "msgd to answer")
        if not self.program.is_running():
            raise AssertionError(f"msgd ended at start: {self.program.stderr}")

    @property
    def pid(self):
        return self.program.pid

    def start_program(self, command):
        return Program(command, self.folder, uid=self.uid, env={**os.environ, **self.environment}, preexec_fn=self._set_limits)

    def _set_limits(self):
        if self.max_descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.max_descriptors, self.max_descriptors))

    def answers(self):
        try:
            with Connection(self.socket, timeout=5 * SLOWNESS) as c:
                return c.call("GetInfo")
        except (OSError, Closed):
            return None

    # Talking to it.

    def connect(self):
        """A connection that is closed at the end of the test at the latest."""
        c = Connection(self.socket, timeout=20 * SLOWNESS)
        self.connections.append(c)
        return c

    def call(self, method, **parameters):
        """One call on a connection of its own."""
        with Connection(self.socket, timeout=20 * SLOWNESS) as c:
            return c.call(method, **parameters)

    def register(self, name, **parameters):
        """Registers on a new connection, which is the consumer; it is returned with the reply."""
        c = self.connect()
        return c, c.call("Register", name=name, **parameters)

    def receive(self, name, **parameters):
        return Receiver(self, name, **parameters)

    def find(self, name):
        """The endpoint as List shows it, or None."""
        try:
            endpoints = self.call("List", names=[name])["endpoints"]
        except VarlinkError as error:
            if error.name == "NoSuchEndpoint":
                return None
            raise
        return endpoints[0] if endpoints else None

    def endpoint(self, name):
        found = self.find(name)
        assert found, f"there is no endpoint {name}"
        return found

    def ledger(self, name):
        return self.endpoint(name)["ledger"]

    def wait_for_ledger(self, name, timeout=10, **wanted):
        """Waits until the counters of `name` are as wanted; keys of `dropped` count as counters. Returns the ledger."""
        def fits():
            ledger = self.ledger(name)
            seen = {**ledger, **ledger["dropped"]}
            self.last_seen = {key: seen.get(key, 0) for key in wanted}
            return ledger if self.last_seen == wanted else None
        try:
            return wait_until(fits, timeout, f"the ledger of {name}")
        except AssertionError as error:
            raise AssertionError(f"{error} to show {wanted}; it shows {self.last_seen}") from None

    def wait_for_state(self, name, state, timeout=10):
        return wait_until(lambda: (e := self.find(name)) and e["state"] == state and e, timeout, f"{name} to be {state}")

    def send(self, name, payloads, address=None):
        """Sends datagrams to an endpoint and remembers how many, for the law."""
        endpoint = self.endpoint(name)
        address = address or {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(
            endpoint["address"], endpoint["address"])
        n = send_udp(address, endpoint["port"], payloads)
        self.sent[name] += n
        return n

    # Tools, as a user would run them.

    def tool(self, name, *arguments, timeout=20, uid=None, **options):
        options.setdefault("env", {**os.environ, "MSGD_SOCKET": self.socket})
        return run([build_path(name), *arguments], timeout=timeout, uid=uid, **options)

    def spawn(self, name, *arguments, uid=None, **options):
        options.setdefault("env", {**os.environ, "MSGD_SOCKET": self.socket})
        program = Program([build_path(name), *arguments], self.folder, uid=uid, **options)
        self.connections.append(Closer(program))
        return program

    # What must hold at the end.

    def check_laws(self):
        """Both equations of the ledger, for every endpoint there is."""
        for endpoint in self.call("List")["endpoints"]:
            name = endpoint["name"]
            if name in self.sent:
                self.check_sent(name)
            check_law(name, self.ledger(name))

    def check_sent(self, name):
        """sent = datagrams + kernel_dropped, once the socket has been read empty."""
        def adds_up():
            ledger = self.ledger(name)
            self.last_seen = ledger["datagrams"], ledger["kernel_dropped"]
            return not ledger["kernel_dropped_exact"] or sum(self.last_seen) == self.sent[name]
        try:
            wait_until(adds_up, 10, "")
        except AssertionError:
            raise AssertionError(f"{name}: sent {self.sent[name]}, datagrams + kernel_dropped = "
                                 f"{self.last_seen[0]} + {self.last_seen[1]}") from None

    def release(self, name):
        """Releases the endpoint; the final ledger obeys the law, too."""
        ledger = self.call("Release", name=name)["ledger"]
        check_law(name, ledger)
        self.sent.pop(name, None)
        return ledger

    def stop(self, number=signal.SIGTERM):
        """An orderly stop: exit status 0 and a clean stderr."""
        if self.program.is_running():
            self.program.send_signal(number)
        status = self.program.wait(20)
        assert status == 0, f"msgd ended with {status}: {self.program.stderr[-4000:]}"
        self.check_stderr()

    def check_stderr(self):
        complaint = complaint_in(self.program.stderr)
        assert not complaint, f"msgd's stderr says {complaint}\n{self.program.stderr[-8000:]}"

    def kill(self):
        self.program.kill()

    def finish(self):
        """The end of every test."""
        try:
            if self.program.is_running():
                self.check_laws()
                self.close_connections()
                self.stop()
            else:
                self.check_stderr()
        finally:
            self.close_connections()
            self.program.kill()

    def close_connections(self):
        for c in self.connections:
            c.close()
        self.connections.clear()


class Closer:
    """A program among the things that a test leaves open."""

    def __init__(self, program):
        self.program = program

    def close(self):
        self.program.kill()


def check_law(name, ledger):
    """received = delivered + queued + spooled + protocol + sum(dropped)."""
    accounted = sum(ledger[k] for k in ("delivered", "queued", "spooled", "protocol")) + sum(ledger["dropped"].values())
    assert ledger["received"] == accounted, f"{name}: received {ledger['received']}, accounted for {accounted}: {ledger}"


class Story(unittest.TestCase):
    """Base of all system tests. Method names are sentences."""

    longMessage = True

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="msgd-test-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.daemons = []

    def start(self, config=None, kind=Daemon, **options):
        """A daemon that is checked and stopped at the end of the test; kind: that class, or KeptDaemon (msgd_keeper.py)."""
        folder = os.path.join(self.folder, f"msgd{len(self.daemons) + 1}")
        os.mkdir(folder, 0o755)
        daemon = kind(folder, config, **options)
        self.daemons.append(daemon)
        self.addCleanup(daemon.finish)
        return daemon

    def program(self, arguments, **options):
        """Any other program; killed at the end of the test if it still runs."""
        program = Program(arguments, self.folder, **options)
        self.addCleanup(program.kill)
        return program

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("needs root, to act as two uids")

    def need_program(self, name):
        if not shutil.which(name):
            self.skipTest(f"{name} is not installed")

    def fails(self, error, call, /, *arguments, **parameters):
        """The call must fail with the Varlink error of that name; its parameters are returned."""
        with self.assertRaises(VarlinkError) as caught:
            call(*arguments, **parameters)
        self.assertEqual(caught.exception.name, error, caught.exception.parameters)
        return caught.exception.parameters

    def report(self, what, figure):
        """A figure for people; it decides nothing."""
        print(f"    {what}: {figure}", flush=True)


class _Result(unittest.TextTestResult):
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {test._testMethodName}: {reason}", flush=True)


def main():
    """Runs the tests of the story. Exit status 77 when every one of them was skipped."""
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result, failfast=False)
    program = unittest.main(module="__main__", testRunner=runner, exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun and len(result.skipped) == result.testsRun else 0)
