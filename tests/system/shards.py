# SPDX-License-Identifier: MIT
"""An endpoint that several workers read: one name, one mailbox, one ledger; the order of each source is kept.

MSGD_KILLS in the environment says how often it is killed (20; 5 under a sanitizer).
"""

import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import threading
import time

from msgd_keeper import KeptDaemon
from msgd_test import IS_INSTRUMENTED, Story, free_port, main, send_udp, udp_socket, wait_until

N_KILLS = int(os.environ.get("MSGD_KILLS", "5" if IS_INSTRUMENTED else "20"))
SHARDS = 3
N_SOURCES = 24  # that all of them have the same shard is less likely than 1 in 10^11
INVALID = "org.varlink.service.InvalidParameter"


class Sources:
    """Many sockets, each of which numbers what it sends."""

    def __init__(self, port, address="127.0.0.1"):
        self.sockets = [udp_socket(address) for _ in range(N_SOURCES)]
        for s in self.sockets:
            s.connect((address, port))
        self.n = 0

    def send(self, rounds):
        """So many from each; returns how many that were."""
        for _ in range(rounds):
            self.n += 1
            for k, s in enumerate(self.sockets):
                s.send(b'{"source":%d,"n":%d}' % (k, self.n))
        return rounds * N_SOURCES

    def close(self):
        for s in self.sockets:
            s.close()


class Sender(threading.Thread):
    """Sends from all of them until it is stopped."""

    def __init__(self, sources):
        super().__init__(daemon=True)
        self.sources, self.is_stopped, self.sent, self.error = sources, False, 0, None

    def run(self):
        try:
            while not self.is_stopped:
                self.sent += self.sources.send(1)
                time.sleep(0.001)
        except OSError as error:
            self.error = error

    def stop(self):
        self.is_stopped = True
        self.join()
        assert self.error is None, f"after {self.sent}: {self.error}"
        return self.sent


class Shards(Story):
    def expect_order(self, lines, total):
        """Each source's numbers are there once, in order."""
        seen = collections.defaultdict(list)
        for line in lines:
            message = json.loads(line)
            seen[message["source"]].append(message["n"])
        self.assertEqual(len(lines), total)
        for numbers in seen.values():
            self.assertEqual(numbers, list(range(1, total // N_SOURCES + 1)))

    def read_all(self, msgd, name, total):
        reader = msgd.spawn("msgrecv", name, "--count", str(total), "--timeout", "30", "--lease", "forever")
        self.assertEqual(reader.wait(60), 0, reader.stderr)
        self.expect_order(reader.lines(), total)

    def sockets_at(self, port):
        lines = pathlib.Path("/proc/net/udp").read_text() + pathlib.Path("/proc/net/udp6").read_text()
        return len(re.findall(rf"^ *\d+: [0-9A-F]+:{port:04X} ", lines, re.M))

    def expect_sockets(self, port, n):
        """The kernel's list is not one moment's, and others have sockets of that number elsewhere: so it is asked again."""
        wait_until(lambda: self.sockets_at(port) == n, 5, f"{n} sockets at port {port}")


class Reading(Shards):
    def setUp(self):
        super().setUp()
        self.msgd = self.start({"workers": SHARDS})

    def register(self, name="spread", **fields):
        fields = {"shards": SHARDS, "lease_s": -1, "mailbox_bytes": 64 << 20, "receive_buffer_bytes": 4 << 20, **fields}
        return self.msgd.register(name, **fields)[1]["port"]

    def test_a_consumer_gets_each_sources_messages_in_order_and_the_ledger_is_exact(self):
        drain = self.msgd.receive("spread", shards=SHARDS, lease_s=-1)
        self.expect_sockets(drain.port, SHARDS)
        sources = Sources(drain.port)
        total = sources.send(40)
        self.msgd.sent["spread"] = total
        self.expect_order(drain.payloads(total), total)
        self.msgd.wait_for_ledger("spread", datagrams=total, delivered=total, queued=0)

    def test_every_shard_is_read(self):
        port = self.register()
        sources = Sources(port)
        total = sources.send(1)
        self.msgd.sent["spread"] = total
        self.msgd.wait_for_ledger("spread", datagrams=total)
        waiting = [int(q, 16) for q in re.findall(rf"^ *\d+: [0-9A-F]+:{port:04X} \S+ \S+ [0-9A-F]+:([0-9A-F]+)",
                                                  pathlib.Path("/proc/net/udp").read_text(), re.M)]
        self.assertEqual(waiting, [0] * SHARDS)

    def test_both_families_and_a_broadcast_that_every_socket_gets_counts_once(self):
        port = self.register(address="*")
        self.expect_sockets(port, 2 * SHARDS)
        total = Sources(port).send(5) + Sources(port, "::1").send(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.sendto(b'"to all"', ("127.255.255.255", port))
        total += Sources(port).send(1)  # behind it in every shard's queue: when they are counted, it has been seen by all
        self.msgd.sent["spread"] = total + 1
        self.msgd.wait_for_ledger("spread", datagrams=total + 1, queued=total + 1)

    def test_what_a_durable_one_acknowledges_is_on_disk(self):
        port = self.register(durable=True)
        for n in range(N_SOURCES):  # each from a socket of its own
            self.assertEqual(self.msgd.tool("msgsend", "--ack", f"127.0.0.1:{port}", str(n)).returncode, 0)
        self.msgd.kill()
        self.msgd.launch()
        self.expect_sockets(port, SHARDS)
        reader = self.msgd.spawn("msgrecv", "spread", "--count", str(N_SOURCES), "--timeout", "30", "--lease", "forever")
        self.assertEqual(reader.wait(60), 0, reader.stderr)
        self.assertEqual(reader.lines(), [str(n) for n in range(N_SOURCES)])

    def test_clients_of_every_shard_have_sessions(self):
        server = self.msgd.spawn("msgrecv", "talk", "-p", "0", "--shards", str(SHARDS), "--sessions", "--exec", "cat")
        server.wait_for_stderr("talk at")
        self.expect_sockets(self.msgd.endpoint("talk")["port"], SHARDS)
        for n in range(N_SOURCES):
            client = self.msgd.tool("msgconnect", "talk", input=f"{n}\n")
            self.assertEqual((client.returncode, client.stdout), (0, f"{n}\n"), client.stderr)
        self.assertEqual(server.stop(), 0)

    def test_answers_leave_from_its_port(self):
        consumer = self.msgd.receive("spread", shards=SHARDS)
        for _ in range(N_SOURCES):
            with udp_socket() as s:
                s.sendto(b"1", ("127.0.0.1", consumer.port))
                message = consumer.take(1)[0]
                self.msgd.sent["spread"] += 1
                consumer.reply(message, "2")
                self.assertEqual(s.recvfrom(100), (b"2", ("127.0.0.1", consumer.port)))

    def test_drops_of_the_kernel_are_counted_over_all(self):
        port = self.register(receive_buffer_bytes=8192)
        os.kill(self.msgd.pid, signal.SIGSTOP)
        self.msgd.sent["spread"] = Sources(port).send(100)
        os.kill(self.msgd.pid, signal.SIGCONT)
        self.msgd.check_sent("spread")
        ledger = self.msgd.ledger("spread")
        self.assertGreater(ledger["kernel_dropped"], 0)
        self.assertIs(ledger["kernel_dropped_exact"], True)

    def test_release_reads_what_is_in_every_socket(self):
        port = self.register()
        sources = Sources(port)
        sender = Sender(sources)
        sender.start()
        wait_until(lambda: self.msgd.ledger("spread")["datagrams"] > 10 * N_SOURCES, 10, "datagrams to arrive")
        ledger = self.msgd.call("Release", name="spread")["ledger"]
        sender.is_stopped = True
        sender.join()
        self.assertEqual(ledger["datagrams"], ledger["received"])
        self.assertEqual(ledger["received"], ledger["delivered"] + sum(ledger["dropped"].values()))
        self.expect_sockets(port, 0)

    def test_msgls_and_list_say_how_many(self):
        self.register()
        self.assertEqual(self.msgd.endpoint("spread")["shards"], SHARDS)
        self.assertRegex(self.msgd.tool("msgls", "spread").stdout, rf"shards\s+{SHARDS}\b")

    def test_changing_it_opens_the_sockets_anew(self):
        connection, reply = self.msgd.register("spread", shards=SHARDS, lease_s=-1)
        port = reply["port"]
        connection.close()
        connection, reply = self.msgd.register("spread", shards=2, port=port, lease_s=-1)
        self.assertEqual(reply["port"], port)
        self.expect_sockets(port, 2)
        connection.close()
        connection, reply = self.msgd.register("spread", shards=1, port=port, lease_s=-1)
        self.assertEqual(reply["port"], port)
        self.expect_sockets(port, 1)
        self.msgd.sent["spread"] = send_udp("127.0.0.1", port, ["1"])
        self.msgd.wait_for_ledger("spread", datagrams=1)

    def test_a_reload_changes_it_for_a_static_endpoint(self):
        port = free_port()
        for shards in (2, 3, 1):
            self.msgd.write_config({"workers": SHARDS, "endpoints": [{"name": "fixed", "port": port, "shards": shards}]})
            self.assertEqual(self.msgd.tool("msgctl", "reload").returncode, 0)
            self.expect_sockets(port, shards)
        self.msgd.sent["fixed"] = send_udp("127.0.0.1", port, ["1"])
        self.msgd.wait_for_ledger("fixed", datagrams=1)

    def test_what_cannot_be_is_refused(self):
        c = self.msgd.connect()
        self.fails(INVALID, c.call, "Register", name="a", shards=SHARDS + 1)
        self.fails(INVALID, c.call, "Register", name="a", shards=2, address="239.1.2.3", port=7000)
        port = self.register()
        self.fails("PortTaken", c.call, "Register", name="b", shards=2, port=port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(("127.0.0.1", 0))
            self.fails("PortTaken", c.call, "Register", name="b", shards=2, port=s.getsockname()[1])


class Ends(Shards):
    """Kills and restarts while datagrams come."""

    def setUp(self):
        super().setUp()
        self.msgd = self.start({"workers": SHARDS}, kind=KeptDaemon)
        self.random = random.Random(os.environ.get("MSGD_SEED", "shards"))
        reply = self.msgd.call("Register", name="spread", port=0, shards=SHARDS, lease_s=-1, mailbox_bytes=256 << 20,
                               receive_buffer_bytes=64 << 20)
        self.msgd.connections.clear()  # connections end with each kill
        self.port = reply["port"]
        self.sources = Sources(self.port)

    def expect_all(self, sent):
        def there():
            ledger = self.msgd.endpoint("spread")["ledger"]
            return ledger["datagrams"] + ledger["kernel_dropped"] >= sent
        wait_until(there, 20, f"{sent} datagrams to be read")
        ledger = self.msgd.endpoint("spread")["ledger"]
        self.assertEqual((ledger["datagrams"], ledger["received"], ledger["queued"], ledger["kernel_dropped"]), (sent, sent, sent, 0))
        self.expect_sockets(self.port, SHARDS)
        self.read_all(self.msgd, "spread", sent)
        self.msgd.wait_for_ledger("spread", delivered=sent, queued=0)

    def ends(self, number, times):
        sender = Sender(self.sources)
        sender.start()
        for _ in range(times):
            time.sleep(self.random.uniform(0, 0.05))
            self.msgd.kill(number)
        sent = sender.stop()
        self.msgd.sent["spread"] = sent
        self.expect_all(sent)

    def test_kills_lose_and_double_nothing(self):
        self.ends(signal.SIGKILL, N_KILLS)

    def test_orderly_restarts_lose_and_double_nothing(self):
        self.ends(signal.SIGTERM, 3)

    def test_with_fewer_workers_all_sockets_are_still_read(self):
        self.msgd.write_config(json.dumps({"workers": 1}))
        self.ends(signal.SIGTERM, 1)


main()
