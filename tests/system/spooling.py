# SPDX-License-Identifier: MIT
"""What memory has no room for goes to disk and comes back, in order and exactly; durable endpoints lose nothing at all."""

import json
import pathlib
import signal

from msgd_keeper import KeptDaemon
from msgd_test import IS_INSTRUMENTED, Story, build_path, check_law, free_port, main, numbered, send_udp, udp_socket, wait_until

SMALL = 65536 + 4096  # the least mailbox, and a little


def static(name, **fields):
    return {"endpoints": [{"name": name, "port": free_port(), "max_message_bytes": 1000, "mailbox_bytes": SMALL,
                           **fields}]}


def numbers(lines):
    return [json.loads(line)["n"] for line in lines]


def framed(header, body=b"{}"):
    return b"\x1e" + json.dumps(header).encode() + b"\n" + body


class Overflow(Story):
    def send_paced(self, msgd, name, first, n, size=200):
        """As fast as msgd reads: nothing is for the kernel to drop."""
        for start in range(first, first + n, 500):
            before = msgd.sent[name]
            msgd.send(name, numbered(start, min(500, first + n - start), size))
            sent = msgd.sent[name] - before
            self.received += sent
            msgd.wait_for_ledger(name, received=self.received)

    def setUp(self):
        super().setUp()
        self.received = 0

    def drain(self, msgd, name, n):
        """msgrecv, until it has printed n."""
        result = msgd.tool("msgrecv", name, "--count", str(n), "--timeout", "30", timeout=60)
        self.assertEqual(result.returncode, 0, result.stderr[-2000:])
        return numbers(result.stdout.splitlines())

    def test_what_finds_no_room_comes_back_in_order(self):
        msgd = self.start(static("away", when_full="spool"))
        self.send_paced(msgd, "away", 1, 6000)
        ledger = wait_until(lambda: (l := msgd.ledger("away"))["queued"] < 400 and l, 10, "most of it to be on disk")
        self.assertEqual(ledger["queued"] + ledger["spooled"], 6000)
        self.assertEqual(sum(ledger["dropped"].values()), 0)
        self.assertEqual(self.drain(msgd, "away", 6000), list(range(1, 6001)))
        msgd.wait_for_ledger("away", delivered=6000, spooled=0, queued=0)

    def test_what_comes_meanwhile_comes_behind_it(self):
        msgd = self.start(static("away", when_full="spool"))
        self.send_paced(msgd, "away", 1, 3000)
        consumer = msgd.spawn("msgrecv", "away")
        for start in range(3001, 9001, 500):
            msgd.send("away", numbered(start, 500, 200))
            msgd.wait_for_ledger("away", received=start + 499)
        consumer.wait_for_lines(9000, timeout=30)
        self.assertEqual(numbers(consumer.lines()), list(range(1, 9001)))
        msgd.wait_for_ledger("away", delivered=9000, spooled=0, queued=0)
        msgd.send("away", numbered(9001, 1))  # and again straight through memory
        consumer.wait_for_lines(9001)

    def test_a_bound_in_messages_drops_the_newest_under_its_reason(self):
        msgd = self.start(static("away", when_full="spool", spool_messages=1000))
        self.send_paced(msgd, "away", 1, 3000)
        ledger = msgd.ledger("away")
        kept = ledger["queued"] + ledger["spooled"]
        self.assertEqual(ledger["dropped"]["spool_full"], 3000 - kept)
        self.assertGreater(kept, 1000)
        self.assertEqual(self.drain(msgd, "away", kept), list(range(1, kept + 1)))

    def test_a_bound_in_bytes(self):
        msgd = self.start(static("away", when_full="spool", spool_bytes=100000))
        self.send_paced(msgd, "away", 1, 1000)
        ledger = msgd.ledger("away")
        self.assertEqual(ledger["dropped"]["spool_full"] + ledger["queued"] + ledger["spooled"], 1000)
        self.assertLess(ledger["spooled"] * 320, 100000 + 320)

    def test_each_of_several_consumers_gets_all_of_it_in_mode_copy(self):
        msgd = self.start(static("both", when_full="spool", mode="copy"))
        first, second = (msgd.spawn("msgrecv", "both") for _ in range(2))
        for consumer in (first, second):
            consumer.wait_for_stderr("both at")
        second.send_signal(signal.SIGSTOP)
        try:
            self.send_paced(msgd, "both", 1, 3000)
            endpoint = msgd.endpoint("both")
            self.assertGreater(endpoint["ledger"]["spooled"] + endpoint["ledger"]["queued"], 2000, endpoint)
        finally:
            second.send_signal(signal.SIGCONT)
        for consumer in (first, second):
            consumer.wait_for_lines(3000, timeout=30)
            self.assertEqual(numbers(consumer.lines()), list(range(1, 3001)))
        msgd.wait_for_ledger("both", delivered=3000, spooled=0, queued=0)

    def test_old_messages_on_disk_expire(self):
        msgd = self.start(static("away", when_full="spool", ttl_s=1))
        self.send_paced(msgd, "away", 1, 2000)
        msgd.wait_for_ledger("away", 20, expired=2000, spooled=0, queued=0)

    def test_a_release_counts_what_is_on_disk(self):
        msgd = self.start({})
        _, reply = msgd.register("gone", port=free_port(), when_full="spool", mailbox_bytes=SMALL, max_message_bytes=1000)
        self.send_paced(msgd, "gone", 1, 2000)
        self.assertEqual(msgd.release("gone")["dropped"]["released"], 2000)

    def test_it_survives_a_kill_and_an_orderly_restart_to_the_message(self):
        msgd = self.start(static("away", when_full="spool"), kind=KeptDaemon)
        for number, restart in enumerate((msgd.kill, msgd.restart, msgd.kill)):
            self.send_paced(msgd, "away", 1 + number * 3000, 3000)
            restart()
            msgd.wait_for_ledger("away", received=self.received)
            check_law("away", msgd.ledger("away"))
        self.assertEqual(self.drain(msgd, "away", 9000), list(range(1, 9001)))
        msgd.wait_for_ledger("away", delivered=9000, spooled=0, queued=0)


def send_one(s, port, number):
    """One that is to be acknowledged as stored."""
    header = {"type": "send", "id": f"00000000000000aa.{number}", "ack": "stored", "pad": "x" * 128}
    s.sendto(framed(header, json.dumps({"n": number}).encode()), ("127.0.0.1", port))


class Durable(Story):
    def send_acknowledged(self, msgd, port, ids):
        """Sends and waits for each to be acknowledged as stored."""
        with udp_socket() as s:
            for number in ids:
                send_one(s, port, number)
            waiting = set(ids)
            while waiting:
                answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])
                self.assertEqual(answer["type"], "ack", answer)
                first = int(answer["id"].split(".")[1])
                waiting -= set(range(first, first + answer.get("count", 1)))

    def test_what_was_acknowledged_is_there_after_all_memory_was_lost(self):
        msgd = self.start(static("safe", durable=True))
        port = msgd.endpoint("safe")["port"]
        self.send_acknowledged(msgd, port, range(1, 501))
        msgd.kill()
        msgd.launch()
        ledger = msgd.ledger("safe")
        self.assertEqual((ledger["received"], ledger["spooled"] + ledger["queued"]), (500, 500))
        self.send_acknowledged(msgd, port, range(400, 601))  # 101 of them once more
        msgd.wait_for_ledger("safe", received=701, duplicate=101)
        result = msgd.tool("msgrecv", "safe", "--count", "600", "--timeout", "20", timeout=60)
        self.assertEqual(numbers(result.stdout.splitlines()), list(range(1, 601)))

    def test_plain_datagrams_are_on_disk_though_nobody_asked(self):
        msgd = self.start(static("safe", durable=True))
        msgd.send("safe", numbered(1, 100))
        wait_until(lambda: msgd.call("GetInfo")["store"]["appended"] >= 100, 10, "100 to be on disk")
        msgd.sent.clear()
        msgd.kill()
        msgd.launch()
        self.assertEqual(msgd.ledger("safe")["spooled"] + msgd.ledger("safe")["queued"], 100)

    def send_until_stored(self, msgd, port, number):
        """Sends one, again where it is told to come again, until it is stored."""
        with udp_socket() as s:
            answer = None
            while answer != "ack":
                send_one(s, port, number)
                answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])["type"]

    def test_what_was_there_before_it_became_durable_is_on_disk_before_what_came_then(self):
        for act in ("reload", "register"):
            n = 3000
            config = static("safe", mailbox_bytes=8 << 20)
            static_fields = config["endpoints"][0]
            fields = {"port": static_fields["port"], "mailbox_bytes": 8 << 20, "lease_s": -1}
            msgd = self.start(config if act == "reload" else {})
            if act == "register":
                msgd.register("safe", **fields)[0].close()
            for start in range(1, n + 1, 200):
                msgd.send("safe", numbered(start, 200, 200))
                msgd.wait_for_ledger("safe", received=start + 199)
            if act == "reload":
                static_fields["durable"] = True
                msgd.write_config(config)
                msgd.call("Reload")
            else:
                msgd.register("safe", durable=True, **fields)[0].close()
            self.send_until_stored(msgd, fields["port"], n + 1)
            msgd.sent.clear()
            msgd.kill()
            msgd.launch()
            result = msgd.tool("msgrecv", "safe", "--count", str(n + 1), "--timeout", "20", timeout=60)
            self.assertEqual(numbers(result.stdout.splitlines()), list(range(1, n + 2)), act)
            msgd.stop()

    def test_what_was_released_does_not_come_again(self):
        msgd = self.start(static("safe", durable=True))
        port = msgd.endpoint("safe")["port"]
        self.send_acknowledged(msgd, port, range(1, 301))
        result = msgd.tool("msgrecv", "safe", "--count", "200", "--timeout", "20", timeout=60)
        self.assertEqual(len(result.stdout.splitlines()), 200)
        msgd.wait_for_ledger("safe", delivered=200)
        msgd.stop()
        msgd.launch()
        self.assertEqual(msgd.ledger("safe")["spooled"] + msgd.ledger("safe")["queued"], 100)
        result = msgd.tool("msgrecv", "safe", "--count", "100", "--timeout", "20", timeout=60)
        self.assertEqual(numbers(result.stdout.splitlines()), list(range(201, 301)))

    def test_what_is_on_disk_alone_keeps_a_name_where_it_is(self):
        msgd = self.start({})
        port = free_port()
        fields = {"durable": True, "mailbox_bytes": SMALL, "max_message_bytes": 1000, "lease_s": -1}
        connection, _ = msgd.register("safe", port=port, **fields)
        self.send_acknowledged(msgd, port, range(1, 11))
        connection.close()
        msgd.kill()
        msgd.launch()
        self.assertEqual(msgd.ledger("safe")["spooled"], 10)
        self.fails("NameTaken", msgd.register, "safe", port=free_port(), **fields)
        self.assertEqual(msgd.ledger("safe")["spooled"], 10)

    def test_a_consumer_that_keeps_up_costs_no_disk(self):
        msgd = self.start(static("safe", durable=True))
        consumer = msgd.spawn("msgrecv", "safe")
        msgd.wait_for_state("safe", "attached")
        msgd.send("safe", numbered(1, 100))
        consumer.wait_for_lines(100)
        msgd.wait_for_ledger("safe", delivered=100)

    def test_a_full_database_refuses_for_the_time_being_and_drains(self):
        bound = 8 << 20  # of all of its files
        msgd = self.start({**static("safe", durable=True), "limits": {"spool_bytes": bound}})
        port = msgd.endpoint("safe")["port"]
        number = 0
        for _ in range(3):
            kept, refused = [], 0
            with udp_socket() as s:
                while refused == 0:
                    number += 1
                    body = json.dumps({"n": number, "pad": "x" * 800}).encode()
                    header = {"type": "send", "id": f"00000000000000aa.{number}", "ack": "stored", "pad": "x" * 128}
                    s.sendto(framed(header, body), ("127.0.0.1", port))
                    answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])
                    if answer["type"] == "ack":
                        kept.append(number)
                    else:
                        self.assertEqual((answer["reason"], answer["retry"]), ("spool_full", True))
                        refused += 1
            self.assertLessEqual(sum(p.stat().st_size for p in msgd.state_path.glob("msgd.db*")), bound)
            result = msgd.tool("msgrecv", "safe", "--count", str(len(kept)), "--timeout", "20", timeout=60)
            self.assertEqual(numbers(result.stdout.splitlines()), kept)
            wait_until(lambda: msgd.call("GetInfo")["store"]["state"] == "open", 10, "room again")

    def test_what_came_while_the_database_was_full_is_written_once_it_has_room(self):
        for journal_bytes in (64 << 20, 1 << 20):  # room in the journals for all of it, and for a part
            n = 4000
            config = static("safe", durable=True, when_full="drop-new", mailbox_bytes=8 << 20)
            limits = {"journal_bytes": journal_bytes}
            msgd = self.start({**config, "limits": {**limits, "spool_free_bytes": 1 << 50}})
            for start in range(1, n + 1, 200):
                msgd.send("safe", numbered(start, 200, 500))
                msgd.wait_for_ledger("safe", received=start + 199)
            self.assertEqual(msgd.call("GetInfo")["store"]["state"], "full")
            self.assertEqual(msgd.tool("msgrecv", "safe", "--count", "100", "--timeout", "20").returncode, 0)
            msgd.write_config({**config, "limits": {**limits, "spool_free_bytes": 0}})
            msgd.call("Reload")
            wait_until(lambda: msgd.call("SpoolRead", name="safe", from_seq=n)["messages"], 20, "all to be on disk")
            msgd.sent.clear()
            msgd.kill()
            msgd.launch()
            result = msgd.tool("msgrecv", "safe", "--timeout", "2", timeout=60)
            self.assertEqual(numbers(result.stdout.splitlines())[-(n - 100):], list(range(101, n + 1)))
            msgd.stop()

    def test_after_a_failed_sync_nothing_more_is_promised(self):
        if IS_INSTRUMENTED:
            self.skipTest("a preloaded library and a sanitizer's own are not told apart here")
        broken = pathlib.Path(self.folder) / "broken"
        msgd = self.start(static("safe", durable=True),
                          environment={"LD_PRELOAD": build_path("libfaildisk.so"), "FAILDISK": str(broken)})
        port = msgd.endpoint("safe")["port"]
        self.send_acknowledged(msgd, port, range(1, 101))
        broken.touch()
        with udp_socket() as s:
            send_one(s, port, 101)  # on its way to the disk when that breaks
            answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])
            self.assertEqual((answer["type"], answer["reason"], answer["retry"]), ("nack", "spool_failed", True))
            send_one(s, port, 102)
            answer = json.loads(s.recv(65536)[1:].split(b"\n")[0])
            self.assertEqual((answer["type"], answer["reason"]), ("nack", "spool_failed"))
        self.assertEqual(msgd.call("GetInfo")["store"]["state"], "failed")
        self.assertEqual(msgd.endpoint("safe")["spool"]["state"], "failed")
        self.assertIn("fail", msgd.tool("msgls", "safe").stdout)
        send_udp("127.0.0.1", port, numbered(200, 1))  # who asks for no promise is served
        result = msgd.tool("msgrecv", "safe", "--count", "102", "--timeout", "20", timeout=60)
        self.assertEqual(numbers(result.stdout.splitlines()), [*range(1, 102), 200])
        self.assertIn("Nothing more is written to it or acknowledged as stored", msgd.program.stderr)
        msgd.sent.clear()
        msgd.kill()
        broken.unlink()
        msgd.launch()  # nothing of what was promised is missing; releases were not written
        self.assertGreaterEqual(msgd.ledger("safe")["spooled"], 100)
        self.send_acknowledged(msgd, port, range(301, 303))


class Unwatched(Story):
    """The kernel lets nobody watch a socket for a while: memory, or fs.epoll.max_user_watches, is used up."""

    def start_unwatched(self, **options):
        if IS_INSTRUMENTED:
            self.skipTest("a preloaded library and a sanitizer's own are not told apart here")
        self.full = pathlib.Path(self.folder) / "full"
        return self.start(static("safe", durable=True), **options,
                          environment={"LD_PRELOAD": build_path("libfailwatch.so"), "FAILWATCH": str(self.full)})

    def consume(self, msgd, n):
        result = msgd.tool("msgrecv", "safe", "--count", str(n), "--timeout", "20", timeout=60)
        return numbers(result.stdout.splitlines())

    def test_what_comes_is_read_all_the_same(self):
        msgd = self.start_unwatched()
        msgd.stop()
        self.full.touch()
        msgd.launch()
        msgd.send("safe", numbered(1, 100))
        msgd.wait_for_ledger("safe", received=100)
        self.assertEqual(self.consume(msgd, 60), list(range(1, 61)))
        self.full.unlink()
        wait_until(lambda: "is watched again" in msgd.program.stderr, 10, "the socket to be watched")
        msgd.send("safe", numbered(101, 100))
        self.assertEqual(self.consume(msgd, 140), list(range(61, 201)))
        self.assertIn("safe: its socket cannot be watched (No space left on device)", msgd.program.stderr)

    def test_nothing_that_was_held_is_released_for_it(self):
        msgd = self.start_unwatched(kind=KeptDaemon)
        msgd.send("safe", numbered(1, 100))
        msgd.wait_for_ledger("safe", received=100, queued=100)
        self.full.touch()
        for how in (signal.SIGKILL, signal.SIGTERM):
            msgd.kill(how)
            msgd.wait_for_ledger("safe", received=100, queued=100)
        msgd.send("safe", numbered(101, 100))
        msgd.wait_for_ledger("safe", received=200, queued=200)
        self.assertEqual(self.consume(msgd, 200), list(range(1, 201)))

    def test_one_that_is_released_meanwhile_is_gone(self):
        msgd = self.start_unwatched()
        self.full.touch()
        msgd.register("other")
        msgd.send("other", numbered(1, 10))
        msgd.wait_for_ledger("other", received=10)
        self.assertEqual(msgd.release("other")["received"], 10)
        self.full.unlink()
        self.assertEqual(msgd.tool("msgls", "other").returncode, 68)


main()
