# SPDX-License-Identifier: MIT
"""kill -9 while datagrams come: what msgd had read, filed or was counting at that moment is there afterwards, once.

MSGD_KILLS in the environment says how often each test kills it (60; 10 under a sanitizer).
"""

import json
import os
import random
import signal
import socket
import subprocess
import threading
import time

from msgd_frame import frame
from msgd_keeper import KeptDaemon
from msgd_test import IS_INSTRUMENTED, Story, main, wait_until

N_KILLS = int(os.environ.get("MSGD_KILLS", "10" if IS_INSTRUMENTED else "60"))
KILLS_PER_EPISODE = 20
# Bridges seconds of a machine that is busy with something else, where the kernel grants it.
BUFFER = 64 << 20
RATE = 20_000
UDP_SEGMENT = 103


class Sender(threading.Thread):
    """Sends the numbers from n + 1 on until it is stopped: n is the last one."""

    per_datagram = 1  # numbers
    per_drop = 1  # datagrams that the kernel may have dropped where it counts one

    def __init__(self, port, n=0):
        super().__init__(daemon=True)
        self.port, self.n, self.is_stopped, self.is_refused = port, n, False, False

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("127.0.0.1", self.port))
            start = time.monotonic() - self.n / RATE
            while not self.is_stopped:
                while self.n < (time.monotonic() - start) * RATE and not self.is_stopped:
                    try:
                        s.send(b"%d" % (self.n + 1))
                    except ConnectionRefusedError:
                        self.is_refused = True
                        return
                    self.n += 1
                time.sleep(0.0005)

    def stop(self):
        self.is_stopped = True
        self.join()
        assert not self.is_refused, f"datagram {self.n + 1} found no socket"
        return self.n


class Batches:
    """Ten numbers in a frame."""

    per_datagram, per_drop = 10, 1

    def __init__(self, port):
        self.socket, self.n = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
        self.socket.connect(("127.0.0.1", port))
        self.prepare()

    def prepare(self):
        pass

    def content(self, numbers):
        return frame("batch", b"".join(b"\x1e%d\n" % n for n in numbers))

    def send(self, times):
        for _ in range(times):
            self.socket.send(self.content(range(self.n + 1, self.n + 11)))
            self.n += 10


class Segments(Batches):
    """Ten datagrams at a time, which the kernel gives to msgd as one buffer (UDP_GRO)."""

    per_datagram, per_drop = 1, 10

    def prepare(self):
        self.socket.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 12)

    def content(self, numbers):
        return b"".join(b"%12d" % n for n in numbers)


class Feeder(threading.Thread):
    """Gives msgsend the numbers from 1 on, 5,000 a second at most, until it is stopped: n is the last one."""

    def __init__(self, program):
        super().__init__(daemon=True)
        self.program, self.n, self.is_stopped = program, 0, False

    def run(self):
        while not self.is_stopped:
            lines = "".join(f"{n}\n" for n in range(self.n + 1, self.n + 41))
            self.program.process.stdin.write(lines.encode())
            self.program.process.stdin.flush()
            self.n += 40
            time.sleep(0.008)
        self.program.process.stdin.close()

    def stop(self):
        self.is_stopped = True
        self.join()
        return self.n


class Kills(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(kind=KeptDaemon)
        self.random = random.Random(os.environ.get("MSGD_SEED", "kills"))
        self.slowest = self.n_read = self.n_dropped = 0

    def register(self, name):
        call = self.msgd.call("Register", name=name, port=0, lease_s=-1, mailbox_bytes=256 << 20, receive_buffer_bytes=BUFFER)
        self.msgd.connections.clear()  # connections end with each kill
        return call["port"]

    def ledger(self, name):
        return self.msgd.endpoint(name)["ledger"]

    def check_law(self, ledger):
        self.assertEqual(ledger["received"], ledger["delivered"] + ledger["queued"] + ledger["spooled"] +
                         ledger["protocol"] + sum(ledger["dropped"].values()))

    def strike(self, number):
        """Kills msgd at some moment and waits until it is there again."""
        time.sleep(self.random.uniform(0, 0.04))
        took = self.msgd.kill(number)
        self.slowest = max(self.slowest, took)
        if os.environ.get("MSGD_VERBOSE"):
            found = self.msgd.call("List")["endpoints"][0]["ledger"]
            print(f"{took * 1000:.0f} ms {found}")

    def wait_for_all(self, name, sent, per_drop=1):
        """Until so many datagrams have been read, or dropped by the kernel."""
        def there():
            ledger = self.ledger(name)
            return ledger["datagrams"] + ledger["kernel_dropped"] * per_drop >= sent
        wait_until(there, 20, f"{sent} datagrams to be read")
        ledger = self.ledger(name)
        self.check_law(ledger)
        if per_drop == 1:
            self.assertEqual(ledger["datagrams"] + ledger["kernel_dropped"], sent)
        return ledger

    def read_all(self, name, total, kind):
        """What was sent since the last time is there once, in order; total: all that was ever sent."""
        sent, dropped = total - self.n_read, self.n_dropped
        ledger = self.wait_for_all(name, total // kind.per_datagram, kind.per_drop)
        # What the kernel had no room for while msgd was away is known to the datagram; nothing else is missing.
        self.n_dropped = ledger["kernel_dropped"]
        kept = sent - (self.n_dropped - dropped) * kind.per_datagram
        if kind.per_drop > 1 and self.n_dropped > dropped:
            kept = ledger["queued"]
        self.assertEqual(ledger["queued"], kept)
        reader = self.msgd.spawn("msgrecv", name, "--count", str(kept), "--timeout", "30", "--lease", "forever")
        self.assertEqual(reader.wait(60), 0, reader.stderr)
        numbers = [int(line) for line in reader.lines()]
        self.assertEqual(numbers, sorted(set(numbers)), "each once, in order")
        if kept == sent:
            self.assertEqual(numbers, list(range(self.n_read + 1, total + 1)))
        self.n_read = total

    def told(self, name, n_ends, total, kind):
        print(f"{n_ends} ends, {total} messages, {self.n_dropped} times the kernel dropped some; "
              f"ready again {self.slowest * 1000:.0f} ms after the end at most")
        self.msgd.sent[name] += total // kind.per_datagram

    def storm(self, number):
        """Without a consumer: everything is there once, in order. Read every now and then: what waits is found again
        message by message, which takes time."""
        port, total = self.register("storm"), 0
        for _ in range(max(N_KILLS // KILLS_PER_EPISODE, 1)):
            sender = Sender(port, total)
            sender.start()
            for _ in range(KILLS_PER_EPISODE):
                self.strike(number)
            total = sender.stop()
            self.read_all("storm", total, Sender)
        self.told("storm", N_KILLS, total, Sender)

    def interrupt(self, kind):
        """Each kill comes while 5,000 messages that have waited are being filed."""
        sender = kind(self.register("pile"))
        self.addCleanup(sender.socket.close)
        n_kills = max(N_KILLS // 3, 1)
        for i in range(1, n_kills + 1):
            pid = self.msgd.strike(signal.SIGSTOP)
            sender.send(500)
            os.kill(pid, signal.SIGCONT)
            time.sleep(self.random.uniform(0, 0.001))
            self.slowest = max(self.slowest, self.msgd.kill())
            if i % KILLS_PER_EPISODE == 0 or i == n_kills:
                self.read_all("pile", sender.n, kind)
        self.told("pile", n_kills, sender.n, kind)

    def test_nothing_is_lost_or_doubled_by_kills(self):
        self.storm(signal.SIGKILL)

    def test_a_batch_of_which_half_was_done_is_finished(self):
        self.interrupt(Batches)

    def test_a_buffer_of_many_datagrams_of_which_half_was_done_is_finished(self):
        self.interrupt(Segments)

    def test_nothing_is_lost_or_doubled_by_restarts(self):
        self.storm(signal.SIGTERM)

    def test_a_consumer_gets_everything_and_again_only_what_is_marked(self):
        reader = self.msgd.spawn("msgrecv", "thermo", "--port", "0", "--lease", "forever", "--json")
        reader.wait_for_stderr("thermo at")
        self.addCleanup(reader.kill)
        self.msgd.connections.clear()
        sender = Sender(self.msgd.endpoint("thermo")["port"])
        sender.start()
        for _ in range(N_KILLS // 3):
            self.strike(signal.SIGKILL)
        sent = sender.stop()
        self.wait_for_all("thermo", sent)
        wait_until(lambda: self.ledger("thermo")["queued"] == 0, 30, "everything to be released")
        ledger = self.ledger("thermo")
        self.assertEqual(ledger["delivered"] + ledger["kernel_dropped"] + sum(ledger["dropped"].values()), sent)
        self.assertEqual(reader.stop(), 0)
        seen = set()
        for line in reader.lines():
            message = json.loads(line)
            self.assertTrue(message["redelivered"] or message["message"] not in seen, f"{line} came twice")
            seen.add(message["message"])
        self.assertEqual(len(seen), ledger["delivered"])
        self.msgd.sent["thermo"] += sent

    def send_acknowledged(self, name):
        """msgsend sends numbers until each is acknowledged as stored, and msgd is killed meanwhile. Returns how many."""
        sender = self.msgd.spawn("msgsend", "--ack", "--json", "--timeout", "60", f"127.0.0.1:{self.msgd.endpoint(name)['port']}",
                                 stdin=subprocess.PIPE)
        self.addCleanup(sender.kill)
        self.msgd.connections.clear()
        feeder = Feeder(sender)
        feeder.start()
        for _ in range(N_KILLS // 3):
            self.strike(signal.SIGKILL)
        n = feeder.stop()
        self.assertEqual(sender.wait(60), 0, sender.stderr)
        counts = json.loads(sender.lines()[-1])
        self.assertEqual((counts["sent"], counts["stored"]), (n, n), counts)
        self.report("under acknowledged load", f"{N_KILLS // 3} kills, {n} messages, {counts['resent']} sent again")
        return n

    def check_acknowledged(self, reader, n):
        """Each number is there; one that came more than once is the same message."""
        ids = {}
        for line in reader.lines():
            message = json.loads(line)
            ids.setdefault(message["message"], []).append(message["id"])
        self.assertEqual(sorted(ids), list(range(1, n + 1)), "what was acknowledged is there")
        for number, several in ids.items():
            self.assertEqual(len(set(several)), 1, f"{number} came under {several}")
        self.assertEqual(len({several[0] for several in ids.values()}), n, "each under an id of its own")
        return sum(len(several) for several in ids.values()) - n

    def test_what_was_acknowledged_is_there_once(self):
        self.register("safe")
        n = self.send_acknowledged("safe")
        queued = self.ledger("safe")["queued"]
        reader = self.msgd.spawn("msgrecv", "safe", "--json", "--count", str(queued), "--timeout", "30", "--lease", "forever")
        self.assertEqual(reader.wait(60), 0, reader.stderr)
        self.assertEqual(self.check_acknowledged(reader, n), 0, "what waits is known by its id over a kill")

    def test_a_consumer_gets_what_was_acknowledged_and_again_only_under_its_id(self):
        reader = self.msgd.spawn("msgrecv", "safe", "--port", "0", "--lease", "forever", "--json")
        reader.wait_for_stderr("safe at")
        self.addCleanup(reader.kill)
        n = self.send_acknowledged("safe")
        wait_until(lambda: self.ledger("safe")["queued"] == 0, 30, "everything to be released")
        self.assertEqual(reader.stop(), 0)
        self.report("came again under the same id", self.check_acknowledged(reader, n))


if __name__ == "__main__":
    main()
