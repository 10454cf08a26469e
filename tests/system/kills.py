# SPDX-License-Identifier: MIT
"""kill -9 while datagrams come: what msgd had read, filed or was counting at that moment is there afterwards, once.

MSGD_KILLS in the environment says how often each test kills it (60; 10 under a sanitizer).
"""

import json
import os
import random
import signal
import socket
import threading
import time

from msgd_keeper import KeptDaemon
from msgd_test import IS_INSTRUMENTED, Story, main, wait_until

N_KILLS = int(os.environ.get("MSGD_KILLS", "10" if IS_INSTRUMENTED else "60"))
KILLS_PER_EPISODE = 20
RATE = 20_000
# Bridges seconds of a machine that is busy with something else, where the kernel grants it.
BUFFER = 64 << 20


class Sender(threading.Thread):
    """Sends the numbers from n + 1 on until it is stopped: n is the last one."""

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


class Kills(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start(kind=KeptDaemon)
        self.random = random.Random(os.environ.get("MSGD_SEED", "kills"))

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

    def wait_for_all(self, name, sent):
        def there():
            ledger = self.ledger(name)
            return ledger["datagrams"] + ledger["kernel_dropped"] >= sent
        wait_until(there, 20, f"{sent} datagrams to be read")
        ledger = self.ledger(name)
        self.check_law(ledger)
        self.assertEqual(ledger["datagrams"] + ledger["kernel_dropped"], sent)
        return ledger

    def storm(self, number):
        """Without a consumer: everything is there once, in order. Read every now and then: what waits is found again
        message by message, which takes time."""
        port, self.slowest = self.register("storm"), 0
        total, sent, dropped = 0, 0, 0
        for _ in range(max(N_KILLS // KILLS_PER_EPISODE, 1)):
            sender = Sender(port, total)
            sender.start()
            for _ in range(KILLS_PER_EPISODE):
                self.strike(number)
            sent, total = sender.stop() - total, sender.n
            ledger = self.wait_for_all("storm", total)
            # What the kernel had no room for while msgd was away is known to the datagram; nothing else is missing.
            kept = sent - (ledger["kernel_dropped"] - dropped)
            dropped = ledger["kernel_dropped"]
            self.assertEqual(ledger["queued"], kept)
            reader = self.msgd.spawn("msgrecv", "storm", "--count", str(kept), "--timeout", "30", "--lease", "forever")
            self.assertEqual(reader.wait(60), 0, reader.stderr)
            numbers = [int(line) for line in reader.lines()]
            self.assertEqual(numbers, sorted(set(numbers)), "each once, in order")
            if kept == sent:
                self.assertEqual(numbers, list(range(total - sent + 1, total + 1)))
        print(f"{N_KILLS} ends, {total} datagrams, {dropped} of them dropped by the kernel; "
              f"ready again {self.slowest * 1000:.0f} ms after the end at most")
        self.msgd.sent["storm"] += total

    def test_nothing_is_lost_or_doubled_by_kills(self):
        self.storm(signal.SIGKILL)

    def test_nothing_is_lost_or_doubled_by_restarts(self):
        self.storm(signal.SIGTERM)

    def test_a_consumer_gets_everything_and_again_only_what_is_marked(self):
        self.slowest = 0
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


if __name__ == "__main__":
    main()
