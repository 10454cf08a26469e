# SPDX-License-Identifier: MIT
"""
Who carries messages from a sender to a receiver: the bare socket, msgd, and the peers that the distribution has.
Each is used as its own users would at best; what is not like for like is said in its note.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import time

from msgd_load import cpu_ns
from msgd_process import Program, build_path, rss_kib, wait_until

_numbers = itertools.count(1)


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def has(name):
    try:
        return bool(build_path(name))
    except AssertionError:
        return False


def flood(port, how):
    return [build_path("flood"), "127.0.0.1", port, "--how", how]


class Contender:
    """One way."""

    note = ""
    # Messages under way, in the whole and by bytes (what the kernel charges for each is more than its payload).
    most_messages, most_bytes, extra_bytes = 4096, 1 << 20, 0

    def window(self, size):
        return max(1, min(self.most_messages, self.most_bytes // (size + self.extra_bytes)))

    def missing(self):
        """What it needs that is not here, or None."""
        return None

    def start(self, folder):
        """What stays for all of its runs."""
        self.folder = folder

    def stop(self):
        pass

    def daemons(self):
        """Pids of what stands between sender and receiver."""
        return []

    def check(self, count):
        """What must hold once a run has ended."""


class Bare(Contender):
    """A recvmmsg loop that binds the port itself."""

    def __init__(self, how):
        self.how, self.name = how, f"bare, {how}"
        if how == "one":
            self.most_messages, self.extra_bytes = 512, 1024

    def receiver(self, arguments, wrapper, _size):
        program = Program([*wrapper, build_path("bare"), *arguments, *(["--gro"] if self.how == "offload" else [])], self.folder)
        program.wait_for_stderr("port ")
        self.port = re.search(r"port (\d+)", program.stderr)[1]
        return program

    def sender(self):
        return flood(self.port, self.how)


class Msgd(Contender):
    """msgd, as it is by default. how: the sender's way; consumer: libmsgd, or Receive."""

    note = "each message validated, counted, kept until it is released"
    registration = ()

    def __init__(self, msgd, how, consumer="libmsgd"):
        self.msgd, self.how, self.consumer = msgd, how, consumer
        self.name = f"msgd, {how}" + ("" if consumer == "libmsgd" else f", {consumer}")
        if how in ("one", "feed"):
            self.most_messages, self.extra_bytes = 512, 1024

    def daemons(self):
        return [self.msgd.pid]

    def receiver(self, arguments, wrapper, _size):
        self.endpoint = f"bench-{next(_numbers)}"
        environment = {**os.environ, "MSGD_SOCKET": self.msgd.socket}
        if self.consumer == "Receive":
            program = Program([*wrapper, build_path("receive"), "any", self.endpoint,
                               *("--stamp" if a == "--latency" else a for a in arguments)], self.folder, env=environment)
            wait_until(lambda: (e := self.msgd.find(self.endpoint)) and e["consumers"], 10, "the consumer to be attached")
            self.port = self.msgd.endpoint(self.endpoint)["port"]
            return program
        program = Program([*wrapper, build_path("drain"), self.endpoint, "--mailbox", str(16 << 20), *self.registration, *arguments],
                          self.folder,
                          env=environment)
        program.wait_for_stderr("attached")
        self.port = re.search(r"attached \S+ (\d+)", program.stderr)[1]
        return program

    def sender(self):
        if self.how in ("feed", "batch"):
            return [build_path("feed"), "batch" if self.how == "batch" else "plain", f"127.0.0.1:{self.port}"]
        return flood(self.port, self.how)

    def check(self, count):
        """The ledger's law, to the exact number."""
        ledger = wait_until(lambda: (led := self.msgd.ledger(self.endpoint))["delivered"] == count and led, 10,
                            "everything to be released")
        assert ledger["received"] == count and not any(ledger["dropped"].values()), ledger
        if self.how != "batch":
            self.msgd.sent[self.endpoint] = count
        self.msgd.check_laws()
        self.msgd.release(self.endpoint)


class Broker(Contender):
    """A broker between two clients of its own kind."""

    most_messages, most_bytes = 65536, 32 << 20
    program = ""     # the client, in bench/
    server = ""      # looked for in PATH and sbin
    modes = ("publish", "subscribe")

    def missing(self):
        if self.program and not has(self.program):
            return f"{self.program} was not built: its library is not installed"
        if self.server and not self.server_path():
            return f"{self.server} is not installed"
        return None

    def server_path(self):
        return shutil.which(self.server, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    def launch(self, command):
        self.broker = Program(command, self.folder)

    def stop(self):
        self.broker.kill()

    def daemons(self):
        return [self.broker.pid]

    def receiver(self, arguments, wrapper, _size):
        program = Program([*wrapper, build_path(self.program), self.modes[1], self.target,
                           *("--stamp" if a == "--latency" else a for a in arguments)], self.folder)
        program.wait_for_stderr("ready")
        return program

    def sender(self):
        return [build_path(self.program), self.modes[0], self.target]


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Nats(Broker):
    name, program, server = "NATS", "peer_nats", "nats-server"
    note = "TCP, its C library at both ends; messages are not looked at"

    def start(self, folder):
        super().start(folder)
        port = free_port()
        self.target = f"nats://127.0.0.1:{port}"
        self.launch([self.server_path(), "-a", "127.0.0.1", "-p", str(port)])
        wait_until(lambda: listens(port), 10, "nats-server to listen")


class Mosquitto(Broker):
    name, program, server = "mosquitto", "peer_mosquitto", "mosquitto"
    note = "MQTT over TCP, quality of service 0, queues unbounded; messages are not looked at"

    def start(self, folder):
        super().start(folder)
        self.target = str(free_port())
        config = pathlib.Path(folder) / "mosquitto.conf"
        config.write_text(f"listener {self.target} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
                          "max_queued_messages 0\npersistence false\nlog_dest none\nuser root\n")
        self.launch([self.server_path(), "-c", str(config)])
        wait_until(lambda: listens(int(self.target)), 10, "mosquitto to listen")


class Zmq(Broker):
    name, program, modes = "ZeroMQ proxy", "peer_zmq", ("push", "pull")
    note = "PUSH to PULL over Unix sockets, no bound; messages are not looked at"

    def start(self, folder):
        super().start(folder)
        self.target = f"{folder}/zmq-{next(_numbers)}"
        self.launch([build_path("peer_zmq"), "proxy", self.target])
        self.broker.wait_for_stderr("ready")


class Socat(Contender):
    name = "socat"
    most_messages, extra_bytes = 512, 1024
    note = "UDP to a Unix datagram socket; messages are not looked at"

    def missing(self):
        return None if shutil.which("socat") else "socat is not installed"

    def daemons(self):
        return [self.relay.pid]

    def receiver(self, arguments, wrapper, size):
        self.port, path = free_port(socket.SOCK_DGRAM), f"{self.folder}/socat-{next(_numbers)}"
        program = Program([*wrapper, build_path("bare"), "--unix", path, *arguments], self.folder)
        program.wait_for_stderr("port ")
        self.relay = Program(["socat", "-u", "-b", str(max(size, 8192)), f"UDP-RECV:{self.port},bind=127.0.0.1,rcvbuf=4194304",
                              f"UNIX-SENDTO:{path}"], self.folder)
        wait_until(lambda: udp_is_bound(self.port), 10, "socat to listen")
        return program

    def sender(self):
        return flood(self.port, "one")

    def check(self, _count):
        self.relay.kill()

    def stop(self):
        if hasattr(self, "relay"):
            self.relay.kill()


def udp_is_bound(port):
    return any(line.split()[1].endswith(f":{port:04X}") for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:])


PEERS = (Nats, Mosquitto, Zmq, Socat)


# ---- Runs ----

def pin(pids, cpu):
    """Every thread of these processes on one CPU; returns what undoes it."""
    threads = [int(t) for pid in pids for t in os.listdir(f"/proc/{pid}/task")]
    before = [(t, os.sched_getaffinity(t)) for t in threads]
    for thread in threads:
        os.sched_setaffinity(thread, {cpu})
    return before


def unpin(before):
    for thread, cpus in before:
        os.sched_setaffinity(thread, cpus)


def end(program, timeout=120):
    """Waits for a program's end; its JSON object, with the CPU that it used in nanoseconds."""
    deadline = time.monotonic() + timeout
    while True:
        pid, status, used = os.wait4(program.pid, os.WNOHANG)
        if pid != 0:
            break
        assert time.monotonic() < deadline, f"{program.name} has not ended in {timeout} s"
        time.sleep(0.002)
    program.process.returncode = os.waitstatus_to_exitcode(status)
    assert program.process.returncode == 0, f"{program.name}: {program.stderr}"
    return json.loads(program.stdout), (used.ru_utime + used.ru_stime) * 1e9


def run(who, count, size, *, window=None, rate=0, stamp=False, pinned=False):
    """
    Sends count messages from a sender to a receiver. Nothing may be lost. Figures: rate, and CPU nanoseconds a message of
    sender, daemons and consumer; latency where stamped. pinned: the sender on CPU 0, all else on CPU 1.
    """
    progress = f"{who.folder}/progress-{next(_numbers)}"
    wrappers = [["taskset", "-c", str(cpu)] if pinned else [] for cpu in (0, 1)]
    common = ["--count", str(count), "--progress", progress]
    receiver = who.receiver([*common, *(["--latency"] if stamp else [])], wrappers[1], size)
    before = {pid: cpu_ns(pid) for pid in who.daemons()}
    places = pin(who.daemons(), 1) if pinned else []
    sender = Program([*wrappers[0], *who.sender(), *common, "--size", str(size), "--window", str(window or who.window(size)),
                      *(["--rate", str(rate)] if rate else []), *(["--stamp"] if stamp else [])], who.folder)
    try:
        _, sender_ns = end(sender)
        seen, consumer_ns = end(receiver)
    finally:
        unpin(places)
        for program in (sender, receiver):
            if program.process.returncode is None:
                program.kill()
    assert seen["received"] == count, f"{who.name}: {seen['received']} of {count} messages"
    assert not seen.get("torn") and not seen.get("gaps"), seen
    daemon_ns = sum(cpu_ns(pid) - before[pid] for pid in before)
    figures = {"rate": count / seen["seconds"], "sender_ns": sender_ns / count, "daemon_ns": daemon_ns / count,
               "consumer_ns": consumer_ns / count, "rss_kib": sum(rss_kib(pid) for pid in before),
               **{key: seen[key] for key in ("p50_us", "p99_us", "max_us") if key in seen}}
    who.check(count)
    os.unlink(progress)
    return figures


def present(contenders, folder):
    """Those that can run, started; and a line for each that cannot."""
    there, absent = [], []
    for who in contenders:
        why = who.missing()
        if why:
            absent.append(f"left out: {who.name}: {why}")
            continue
        who.start(folder)
        there.append(who)
    return there, absent


def stop(contenders):
    for who in contenders:
        who.stop()
