# SPDX-License-Identifier: MIT
"""kill -9 where nothing keeps msgd's memory: what was acknowledged from a durable endpoint is on disk, and there afterwards.

MSGD_KILLS in the environment says how often each test kills it (40; 6 under a sanitizer).
"""

import json
import os
import random
import threading
import time

from msgd_frame import frame
from msgd_test import IS_INSTRUMENTED, Story, free_port, main, udp_socket, wait_until

N_KILLS = int(os.environ.get("MSGD_KILLS", "6" if IS_INSTRUMENTED else "40"))
WINDOW = 64
AGAIN_S = 0.05
# The least that a mailbox may have: most of what waits is on disk.
MAILBOX = 70000


class Sender(threading.Thread):
    """Sends numbers, each under an id of its own, again and again until it is acknowledged as stored."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = ("127.0.0.1", port)
        self.n, self.acknowledged, self.n_again, self.is_stopping = 0, set(), 0, False
        self.waiting = {}  # number: when it was last sent

    def send(self, s, number):
        s.sendto(frame("send", str(number).encode(), with_crc=False, id=f"00000000000000aa.{number}", ack="stored", pad="x" * 128),
                 self.to)
        self.waiting[number] = time.monotonic()

    def run(self):
        with udp_socket() as s:
            s.settimeout(0.005)
            while self.waiting or not self.is_stopping:
                while len(self.waiting) < WINDOW and not self.is_stopping:
                    self.n += 1
                    self.send(s, self.n)
                self.hear(s)
                for number, sent in list(self.waiting.items()):
                    if time.monotonic() > sent + AGAIN_S:
                        self.n_again += 1
                        self.send(s, number)

    def hear(self, s):
        try:
            while True:
                answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])
                if answer["type"] != "ack" or answer["ack"] != "stored":
                    continue
                first = int(answer["id"].split(".")[1])
                for number in range(first, first + answer.get("count", 1)):
                    self.acknowledged.add(number)
                    self.waiting.pop(number, None)
        except TimeoutError:
            pass

    def stop(self):
        """Until all of it is acknowledged. Returns how many."""
        self.is_stopping = True
        self.join(60)
        assert not self.is_alive(), f"{len(self.waiting)} are not acknowledged"
        return self.n


class DurableKills(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start({"limits": {"spool_bytes": 4 << 30},
                                "endpoints": [{"name": "safe", "port": free_port(), "durable": True, "spool_bytes": 0,
                                               "max_message_bytes": 1000, "mailbox_bytes": MAILBOX}]})
        self.random = random.Random(os.urandom(8).hex())

    def strike(self):
        """At any moment, now and then before it has come back from the last time."""
        time.sleep(self.random.uniform(0.002, 0.08))
        self.msgd.kill()
        self.msgd.launch()

    def kill_under_load(self):
        sender = Sender(self.msgd.endpoint("safe")["port"])
        sender.start()
        for _ in range(N_KILLS):
            self.strike()
        n = sender.stop()
        self.assertEqual(sender.acknowledged, set(range(1, n + 1)))
        self.report("under acknowledged load", f"{N_KILLS} kills, {n} messages, {sender.n_again} sent again")
        return n

    def check(self, lines, n):
        """Each number is there, and one that came more than once is the same message. Returns how many came again."""
        ids = {}
        for line in lines:
            message = json.loads(line)
            ids.setdefault(message["message"], []).append(message["id"])
        self.assertEqual(sorted(ids), list(range(1, n + 1)), "what was acknowledged is not there")
        for number, several in ids.items():
            self.assertEqual(set(several), {f"00000000000000aa.{number}"})
        return sum(len(several) for several in ids.values()) - n

    def test_what_was_acknowledged_is_there_once(self):
        n = self.kill_under_load()
        ledger = self.msgd.ledger("safe")
        self.assertEqual(ledger["queued"] + ledger["spooled"], n)
        reader = self.msgd.spawn("msgrecv", "safe", "--json", "--count", str(n), "--timeout", "30")
        self.assertEqual(reader.wait(240), 0, reader.stderr)
        self.assertEqual(self.check(reader.lines(), n), 0, "nothing was released before")

    def test_a_consumer_gets_what_was_acknowledged_and_again_only_under_its_id(self):
        reader = self.msgd.spawn("msgrecv", "safe", "--json")
        reader.wait_for_stderr("safe at")
        self.addCleanup(reader.kill)
        self.msgd.connections.clear()  # it outlives them all
        n = self.kill_under_load()
        wait_until(lambda: (ledger := self.msgd.ledger("safe"))["queued"] + ledger["spooled"] == 0, 60, "all to be released")
        self.assertEqual(reader.stop(), 0)
        self.report("came again under the same id", self.check(reader.lines(), n))


main()
