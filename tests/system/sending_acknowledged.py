# SPDX-License-Identifier: MIT
"""msgsend --ack and --reply: what is said to be stored is, once; what is not is said, with its exit code and what to do."""

import json
import os
import pathlib
import signal
import threading
import time

from msgd_frame import frame, parse
from msgd_test import LONG, Story, free_port, main, udp_socket, wait_until


def counts(result):
    return json.loads(result.stdout.splitlines()[-1])


class Between:
    """A network in the middle that loses what `loses` says: sees (number of the datagram, is it an answer?)."""

    def __init__(self, port, loses):
        self.front, self.back = udp_socket(timeout=0.1), udp_socket(timeout=0.1)
        self.server, self.client, self.loses = ("127.0.0.1", port), None, loses
        self.port = self.front.getsockname()[1]
        self.n_through = self.n_seen = 0
        self.is_over = False
        self.threads = [threading.Thread(target=self.carry, args=way) for way in ((self.front, False), (self.back, True))]
        for thread in self.threads:
            thread.start()

    def carry(self, ends, is_answer):
        n = 0
        while not self.is_over:
            try:
                data, source = ends.recvfrom(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
            n += 1
            if is_answer:
                if not self.loses(n, True):
                    self.front.sendto(data, self.client)
                continue
            self.client = source
            self.n_seen += 1
            if not self.loses(n, False):
                self.n_through += 1
                self.back.sendto(data, self.server)

    def close(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        self.front.close()
        self.back.close()


class SendingAcknowledged(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def msgsend(self, code, *arguments, **options):
        result = self.msgd.tool("msgsend", *arguments, **options)
        self.assertEqual(result.returncode, code, (arguments, result.stderr))
        return result

    def fails(self, code, said, *arguments, **options):
        result = self.msgsend(code, *arguments, **options)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn(said, result.stderr)
        return result

    def between(self, name, loses):
        middle = Between(self.msgd.endpoint(name)["port"], loses)
        self.addCleanup(middle.close)
        return middle

    def settle(self, name):
        """On a busy machine a message may go again: how many went is not known beforehand."""
        self.msgd.sent[name] = self.msgd.ledger(name)["datagrams"]

    def test_stored_is_said_when_it_is_in_the_mailbox(self):
        self.msgd.register("thermo")
        for target in ("thermo", "127.0.0.1:%d" % self.msgd.endpoint("thermo")["port"]):
            result = self.msgsend(0, "--ack", target, '{"a": 1}')
            self.assertEqual((result.stdout, result.stderr), ("", ""))
        self.settle("thermo")
        self.assertEqual(self.msgd.ledger("thermo")["queued"], 2)

    def test_released_is_said_when_the_consumer_is_done(self):
        connection, _ = self.msgd.register("thermo")
        sender = self.msgd.spawn("msgsend", "--ack=released", "thermo", "[1]", "--json")
        self.msgd.wait_for_ledger("thermo", queued=1)
        self.assertTrue(sender.is_running())
        connection.close()
        consumer = self.msgd.receive("thermo")
        self.assertEqual(consumer.payloads(1), ["[1]"])
        self.assertEqual(sender.wait(), 0, sender.stderr)
        shown = json.loads(sender.stdout)
        self.assertEqual((shown["sent"], shown["released"], shown["stored"]), (1, 1, 0))
        self.msgd.sent["thermo"] += shown["datagrams"]

    def test_kept_but_not_released_in_time_is_75(self):
        self.msgd.register("thermo")
        self.fails(75, "has stored the message", "--ack=released", "--timeout", "0.6", "thermo", "1")
        self.settle("thermo")
        self.assertEqual(self.msgd.ledger("thermo")["queued"], 1)

    def test_many_are_under_way_and_each_arrives_once(self):
        n = 20000 if LONG else 3000
        consumer = self.msgd.receive("thermo", mailbox_bytes=8 << 20)
        result = self.msgsend(0, "--ack", "--json", "thermo", input="".join(f"{i}\n" for i in range(n)))
        shown = counts(result)
        self.assertEqual((shown["sent"], shown["stored"], shown["not_sent"]), (n, n, 0))
        self.assertGreater(shown["p99_us"], 0)
        self.msgd.sent["thermo"] += shown["datagrams"]
        self.assertEqual(sorted(map(int, consumer.payloads(n))), list(range(n)))

    def test_one_at_a_time_keeps_order_whatever_is_lost(self):
        consumer = self.msgd.receive("thermo")
        middle = self.between("thermo", lambda n, is_answer: n % 3 == 0)
        result = self.msgsend(0, "--ack", "--in-flight", "1", "--timeout", "30", "--json", f"127.0.0.1:{middle.port}",
                              input="".join(f"{i}\n" for i in range(60)), timeout=60)
        self.msgd.sent["thermo"] += middle.n_through
        self.assertEqual(consumer.payloads(60), [str(i) for i in range(60)])
        self.assertGreater(counts(result)["resent"], 10)

    def test_what_is_lost_goes_again_and_arrives_once(self):
        consumer = self.msgd.receive("thermo")
        middle = self.between("thermo", lambda n, is_answer: n % 5 == 1)
        result = self.msgsend(0, "--ack=released", "--timeout", "60", "--json", f"127.0.0.1:{middle.port}",
                              input="".join(f"{i}\n" for i in range(100)), timeout=90)
        self.msgd.sent["thermo"] += middle.n_through
        self.assertEqual(sorted(map(int, consumer.payloads(100))), list(range(100)))
        self.assertEqual(counts(result)["released"], 100)

    def test_a_mailbox_that_is_full_is_tried_again_until_there_is_room(self):
        connection, _ = self.msgd.register("thermo", mailbox_bytes=70000)
        sender = self.msgd.spawn("msgsend", "--ack", "--json", "--count", "2000", "--timeout", "60", "thermo", "1")
        wait_until(lambda: self.msgd.ledger("thermo")["dropped"].get("mailbox_full", 0) > 0, 10, "the mailbox to be full")
        connection.close()
        consumer = self.msgd.receive("thermo")
        self.assertEqual(len(consumer.payloads(2000)), 2000)
        self.assertEqual(sender.wait(60), 0, sender.stderr)
        self.msgd.sent["thermo"] += json.loads(sender.stdout)["datagrams"]

    def test_a_mailbox_that_stays_full_is_75(self):
        self.msgd.register("thermo", mailbox_bytes=1152, max_message_bytes=1000)
        result = self.msgsend(75, "--ack", "--count", "40", "--timeout", "0.5", "--json", "thermo", "1")
        self.assertIn("full mailbox", result.stderr)
        self.assertIn("of 40 messages were not stored", result.stderr.splitlines()[-1])
        self.assertLessEqual(len(result.stderr.splitlines()), 11)
        shown = counts(result)
        self.assertEqual(shown["stored"], self.msgd.ledger("thermo")["queued"])
        self.assertEqual(shown["stored"] + shown["refused"] + shown["timed_out"], 40)
        self.msgd.sent["thermo"] += shown["datagrams"]

    def test_refusals_say_why(self):
        self.msgd.register("small", max_message_bytes=10)
        self.fails(65, "max_message_bytes", "--ack", "small", '"too long for it"')
        self.msgd.register("elsewhere", allow=["192.0.2.0/24"])
        self.fails(77, '"allow"', "--ack", "elsewhere", "1")
        self.settle("small")
        self.settle("elsewhere")

    def test_a_message_that_is_refused_does_not_stop_the_others(self):
        consumer = self.msgd.receive("small", max_message_bytes=10)
        result = self.msgsend(65, "--ack", "--json", "small", input='1\n"too long for it"\nbad\n3\n')
        self.assertIn("line 2: small takes no message as large", result.stderr)
        self.assertIn("line 3: not JSON", result.stderr)
        self.assertIn("1 of 3 messages were not stored: 1 refused", result.stderr.splitlines()[-1])
        self.assertEqual(sorted(consumer.payloads(2)), ["1", "3"])
        self.msgd.sent["small"] += counts(result)["datagrams"]

    def test_what_every_message_would_meet_ends_the_run(self):
        begin = time.monotonic()
        self.msgd.register("elsewhere", allow=["192.0.2.0/24"])
        result = self.msgsend(77, "--ack", "--json", "--count", "100000", "elsewhere", "1")
        self.assertLess(counts(result)["sent"], 100000)
        self.msgd.sent["elsewhere"] += counts(result)["datagrams"]
        result = self.msgsend(69, "--ack", "--json", "--count", "100000", f"127.0.0.1:{free_port()}", "1")
        self.assertIn("nobody listens", result.stderr.splitlines()[0])
        self.assertLess(counts(result)["sent"], 100000)
        self.assertLess(time.monotonic() - begin, 20)

    def test_silence_is_75(self):
        with udp_socket() as silent:
            here = "127.0.0.1:%d" % silent.getsockname()[1]
            self.fails(75, "only msgd acknowledges", "--ack", "--timeout", "0.4", here, "1")
            first, _ = silent.recvfrom(1000)
            self.assertEqual(silent.recvfrom(1000)[0], first)
            self.assertGreaterEqual(len(first), 128)
            self.fails(75, "--plain", "--reply", "--timeout", "0.4", here, "1")

    def test_a_line_goes_while_the_next_one_is_awaited(self):
        consumer = self.msgd.receive("thermo")
        program = self.msgd.spawn("msgsend", "--ack", "--json", "thermo", stdin=-1)
        for i in range(3):
            program.process.stdin.write(b"%d\n" % i)
            program.process.stdin.flush()
            self.assertEqual(consumer.payloads(1), [str(i)])
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0, program.stderr)
        self.msgd.sent["thermo"] += json.loads(program.stdout)["datagrams"]

    def test_a_file_and_a_rate(self):
        consumer = self.msgd.receive("thermo")
        path = pathlib.Path(self.folder) / "messages"
        path.write_text("1\n2\n3\n4\n5\n6\n")
        begin = time.monotonic()
        result = self.msgsend(0, "--ack", "--json", "--rate", "20", "--file", path, "thermo")
        self.assertGreater(time.monotonic() - begin, 0.2)
        self.assertEqual(len(consumer.payloads(6)), 6)
        self.msgd.sent["thermo"] += counts(result)["datagrams"]
        self.msgsend(66, "--ack", "--file", "/nonexistent", "thermo")

    def test_the_same_id_is_the_same_message(self):
        consumer = self.msgd.receive("orders")
        for _ in range(3):
            self.msgsend(0, "--ack=released", "--id", "order-4711", "orders", '{"item": 5}')
        self.msgsend(0, "--ack", "--id", "order-4712", "orders", '{"item": 6}')
        self.settle("orders")
        self.assertEqual(consumer.payloads(2), ['{"item": 5}', '{"item": 6}'])
        self.assertGreaterEqual(self.msgd.ledger("orders")["dropped"].get("duplicate", 0), 2)

    def test_a_request_is_answered_once_and_reaches_its_service_once(self):
        log = pathlib.Path(self.folder) / "log"
        service = self.msgd.spawn("msgrecv", "shout", "--exec", f"tee -a {log} | tr a-z A-Z; echo >>{log}")
        service.wait_for_stderr("shout at")
        middle = self.between("shout", lambda n, is_answer: n == 1)
        result = self.msgsend(0, "--reply", "--timeout", "20", f"127.0.0.1:{middle.port}", '"hello"')
        self.msgd.sent["shout"] += middle.n_through
        self.assertEqual(result.stdout, '"HELLO"\n')
        self.assertEqual(log.read_text(), '"hello"\n')

    def test_a_consumer_that_does_not_answer_is_said_at_once(self):
        service = self.msgd.spawn("msgrecv", "mute", "--exec", "cat >/dev/null")
        service.wait_for_stderr("mute at")
        # Not "no answer came within": that is what the end of the time says.
        self.fails(75, "without answering", "--reply", "--timeout", "30", "mute", "1")
        self.settle("mute")

    def test_the_endpoint_that_goes_away_is_said(self):
        self.msgd.register("thermo")
        sender = self.msgd.spawn("msgsend", "--ack=released", "--timeout", "30", "thermo", "1")
        self.msgd.wait_for_ledger("thermo", queued=1)
        self.msgd.release("thermo")
        self.assertEqual(sender.wait(), 69, sender.stderr)

    def test_what_cannot_be_combined_is_64(self):
        self.msgd.register("thermo")
        for arguments in (["--ack", "--reply"], ["--ack", "--raw"], ["--ack", "--from", "thermo"], ["--reply", "--from", "thermo"],
                          ["--plain"], ["--id", "x"], ["--id", "x", "--reply", "--plain"], ["--id", "x", "--ack", "--count", "2"],
                          ["--in-flight", "1"], ["--in-flight", "5000", "--ack"], ["--ack=often"], ["--id", "a b", "--ack"]):
            result = self.msgsend(64, "thermo", "1", *arguments)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.fails(64, "PAYLOAD", "thermo", "--ack", "--id", "x", input="1\n")
        self.fails(64, "one receiver", "224.0.0.1:7000", "--ack", "1")

    def test_a_name_that_is_not_there_is_68(self):
        self.fails(68, "nobody", "--ack", "nobody", "1")
        self.fails(68, "127.0.0.1:7000", "--ack", "7000", "1")
        self.fails(68, "no-such-host.invalid", "--ack", "no-such-host.invalid:7000", "1")
        self.fails(69, "/nonexistent", "--ack", "thermo", "1", "--socket", "/nonexistent/msgd.sock")

    def test_a_signal_ends_it(self):
        with udp_socket() as silent:
            program = self.msgd.spawn("msgsend", "--ack", "127.0.0.1:%d" % silent.getsockname()[1], "1")
            silent.recvfrom(1000)
            self.assertEqual(program.stop(signal.SIGINT), -signal.SIGINT)

    def test_nonsense_in_answer_changes_nothing(self):
        with udp_socket() as peer:
            program = self.msgd.spawn("msgsend", "--ack", "--json", "127.0.0.1:%d" % peer.getsockname()[1], "1")
            data, sender = peer.recvfrom(1000)
            header, _ = parse(data)
            other = frame("ack", b"", id="0123456789abcdef.1", ack="stored")
            mine = frame("ack", b"", id=header["id"], ack="stored")
            for nonsense in (b"", b"ok", b"\x1e{}\n", other, mine[:-20], bytes([mine[0]]) + os.urandom(len(mine) - 1)):
                peer.sendto(nonsense, sender)
            peer.sendto(mine, sender)
            self.assertEqual(program.wait(), 0, program.stderr)


main()
