# SPDX-License-Identifier: MIT
"""msgsend: what it sends, what it refuses, and the exit code for each way it can end."""

import json
import pathlib
import subprocess
import time

from msgd_test import Story, build_path, free_port, main, run, udp_socket


def payload(number, size):
    """A line that tests/support/drain.c checks."""
    head = '{"n":%d,"pad":"' % number
    return head + "x" * (size - len(head) - 2) + '"}\n'


class Sending(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()
        self.socket = udp_socket()
        self.addCleanup(self.socket.close)
        self.here = "127.0.0.1:%d" % self.socket.getsockname()[1]

    def msgsend(self, *arguments, **options):
        return self.msgd.tool("msgsend", *arguments, **options)

    def expect(self, code, *arguments, **options):
        result = self.msgsend(*arguments, **options)
        self.assertEqual(result.returncode, code, result.stderr)
        if code == 0:
            self.assertEqual(result.stderr, "")
        else:
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        return result

    def expect_nothing(self):
        self.socket.settimeout(0.2)
        self.assertRaises(TimeoutError, self.socket.recv, 100)

    def test_a_payload_is_sent_byte_for_byte(self):
        for text in ('{"a": 1}', " [1, 2] ", "1e999", '"ü"'):
            self.expect(0, self.here, text)
            self.assertEqual(self.socket.recv(100).decode(), text)

    def test_lines_of_stdin_are_messages(self):
        self.expect(0, self.here, input='{"a": 1}\n\n[2]\n"last"')
        self.assertEqual([self.socket.recv(100) for _ in range(3)], [b'{"a": 1}', b"[2]", b'"last"'])
        self.expect_nothing()

    def test_a_line_does_not_wait_for_the_next_one(self):
        program = self.msgd.spawn("msgsend", self.here, stdin=subprocess.PIPE)
        for text in (b"1", b"[2]"):
            program.process.stdin.write(text + b"\n")
            program.process.stdin.flush()
            self.assertEqual(self.socket.recv(100), text)
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0)

    def drain(self, name, n):
        consumer = self.msgd.spawn("drain", name, "--count", n, "--verify")
        consumer.wait_for_stderr("attached")
        return consumer

    def expect_all(self, consumer, name, n, datagrams):
        """Every message has come, whole and in order, and the ledger says so to the exact number."""
        self.assertEqual(consumer.wait(), 0, consumer.stderr)
        seen = json.loads(consumer.stdout)
        self.assertEqual([seen[key] for key in ("received", "torn", "out_of_order", "repeated")], [n, 0, 0, 0], seen)
        self.msgd.sent[name] += datagrams
        self.msgd.wait_for_ledger(name, datagrams=datagrams, received=n, delivered=n)

    def test_many_lines_reach_the_consumer_each_in_a_datagram(self):
        n = 200  # which the smallest receive buffer holds
        consumer = self.drain("many", n)
        result = self.expect(0, "many", "--json", input="".join(payload(i + 1, 64) for i in range(n)))
        self.assertEqual([json.loads(result.stdout)[key] for key in ("sent", "datagrams", "not_sent", "bytes")], [n, n, 0, n * 64])
        self.expect_all(consumer, "many", n, n)

    def test_batches_reach_the_consumer_in_few_datagrams(self):
        n = 800  # as above
        consumer = self.drain("batches", n)
        lines = [payload(i + 1, 40 + i % 300) for i in range(n)]
        lines[n // 2:n // 2] = ["not JSON\n"]
        result = self.msgsend("batches", "--batch", "--json", input="".join(lines))
        self.assertEqual(result.returncode, 65, result.stderr)
        figures = json.loads(result.stdout)
        self.assertEqual((figures["sent"], figures["not_sent"]), (n, 1))
        self.assertLess(figures["datagrams"], 10)
        self.expect_all(consumer, "batches", n, figures["datagrams"])

    def test_a_batch_goes_with_nothing_that_is_not_plain_json(self):
        for other in (["--raw"], ["--ack"], ["--reply"], ["--from", "thermo"]):
            self.expect(64, self.here, "1", "--batch", *other)

    def test_a_file_is_sent_too(self):
        path = pathlib.Path(self.folder) / "messages"
        path.write_text("1\n2\n")
        self.expect(0, self.here, "--file", path)
        self.assertEqual([self.socket.recv(100) for _ in range(2)], [b"1", b"2"])
        self.expect(66, self.here, "--file", "/nonexistent")

    def test_count_repeats_each_message(self):
        self.expect(0, self.here, "7", "--count", "3")
        self.assertEqual([self.socket.recv(100) for _ in range(3)], [b"7"] * 3)

    def test_rate_holds_back(self):
        begin = time.monotonic()
        self.expect(0, self.here, "7", "--count", "6", "--rate", "20")
        self.assertGreater(time.monotonic() - begin, 0.2)

    def test_a_target_is_ipv4_ipv6_or_a_host(self):
        with udp_socket("::1") as s:
            self.expect(0, "[::1]:%d" % s.getsockname()[1], "6")
            self.assertEqual(s.recv(100), b"6")
        self.expect(0, "localhost:%s" % self.here.rpartition(":")[2], "4")
        self.assertEqual(self.socket.recv(100), b"4")

    def test_a_refusal_goes_on_to_the_next_address_of_the_host(self):
        """localhost is ::1 first on most machines; an IPv4 endpoint must get it all the same."""
        consumer = self.msgd.receive("thermo")
        self.expect(0, f"localhost:{consumer.port}", "4")
        self.msgd.sent["thermo"] += 1
        self.assertEqual(consumer.payloads(1), ["4"])

    def test_a_name_is_a_target(self):
        consumer = self.msgd.receive("thermo")
        self.expect(0, "thermo", "1")
        self.msgd.sent["thermo"] += 1
        self.assertEqual(consumer.payloads(1), ["1"])

    def test_a_name_without_a_consumer_keeps_the_message(self):
        connection, _ = self.msgd.register("thermo")
        connection.close()
        self.msgd.wait_for_state("thermo", "away")
        self.expect(0, "thermo", "1")
        self.msgd.sent["thermo"] += 1
        self.msgd.wait_for_ledger("thermo", queued=1)

    def test_an_unknown_name_or_host_is_68(self):
        self.expect(68, "nobody", "1")
        self.expect(68, "no-such-host.invalid:7000", "1")

    def test_not_json_is_65_and_nothing_is_sent(self):
        for text in ("hello", '{"a":}', "", "1 2", "\x1e{}\n1"):
            self.expect(65, self.here, text)
        self.expect_nothing()

    def test_stdin_that_is_not_json_names_the_line(self):
        result = self.msgsend(self.here, input="1\nbad\n")
        self.assertEqual(result.returncode, 65)
        self.assertIn("2", result.stderr)

    def test_raw_sends_any_bytes(self):
        self.expect(0, self.here, "hello", "--raw")
        self.assertEqual(self.socket.recv(100), b"hello")

    def test_too_large_is_65(self):
        path = pathlib.Path(self.folder) / "large"
        path.write_text('"' + "x" * 65506 + '"')
        self.expect(65, self.here, "--file", path)
        self.expect_nothing()
        path.write_text('"' + "x" * 65505 + '"')
        self.expect(0, self.here, "--file", path)
        self.assertEqual(len(self.socket.recv(70000)), 65507)

    def test_a_port_where_nobody_is_is_69_at_once(self):
        begin = time.monotonic()
        result = self.expect(69, f"127.0.0.1:{free_port()}", "1")
        self.assertIn("127.0.0.1", result.stderr)
        self.report("seconds until refused", round(time.monotonic() - begin, 3))

    def test_silence_is_success(self):
        self.expect(0, self.here, "1", "--linger", "0.05")

    def test_usage_errors_are_64(self):
        for arguments in ([], ["--nosuchoption"], [self.here, "1", "2"], [self.here, "1", "--count", "x"], ["1.2.3.4:99999", "1"]):
            self.assertEqual(self.msgsend(*arguments).returncode, 64, arguments)

    def test_msgd_that_is_not_there_is_69(self):
        result = self.msgsend("thermo", "1", "--socket", "/nonexistent/msgd.sock")
        self.assertEqual(result.returncode, 69, result.stderr)
        self.assertIn("/nonexistent/msgd.sock", result.stderr)

    def test_no_msgd_is_needed_for_an_address(self):
        result = run([build_path("msgsend"), self.here, "1", "--socket", "/nonexistent/msgd.sock"])
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_reply_prints_the_answer(self):
        service = self.msgd.spawn("msgrecv", "shout", "--exec", "tr a-z A-Z")
        service.wait_for_stderr("shout at")
        for target in ("shout", "127.0.0.1:%d" % self.msgd.endpoint("shout")["port"]):
            result = self.expect(0, target, '"hello"', "--reply")
            self.assertEqual(result.stdout, '"HELLO"\n')
        result = self.expect(0, "shout", "--reply", input='"a"\n"b"\n')
        self.msgd.sent["shout"] = self.msgd.ledger("shout")["datagrams"]  # on a busy machine some go again
        self.assertEqual(result.stdout, '"A"\n"B"\n')

    def test_reply_without_an_answer_is_75(self):
        begin = time.monotonic()
        for how in ([], ["--plain"]):
            self.expect(75, self.here, "1", "--reply", "--timeout", "0.3", *how)
        self.assertLess(time.monotonic() - begin, 5)

    def test_reply_where_nobody_is_is_69(self):
        for how in ([], ["--plain"]):
            self.expect(69, f"127.0.0.1:{free_port()}", "1", "--reply", *how)

    def test_a_plain_request_is_for_servers_that_know_nothing_of_msgd(self):
        program = self.msgd.spawn("msgsend", self.here, "1", "--reply", "--plain")
        payload, sender = self.socket.recvfrom(100)
        self.assertEqual(payload, b"1")
        self.socket.sendto(b'"answer"', sender)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(program.stdout, '"answer"\n')

    def test_an_answer_from_elsewhere_is_not_taken(self):
        program = self.msgd.spawn("msgsend", self.here, "1", "--reply", "--plain", "--timeout", "1")
        _, sender = self.socket.recvfrom(100)
        with udp_socket() as stranger:
            stranger.sendto(b'"wrong"', sender)
        self.socket.sendto(b'"right"', sender)
        self.assertEqual(program.wait(), 0)
        self.assertEqual(program.stdout, '"right"\n')

    def test_from_sends_from_the_endpoints_own_port(self):
        port = self.msgd.register("thermo")[1]["port"]
        self.expect(0, self.here, "1", "--from", "thermo")
        self.assertEqual(self.socket.recvfrom(100), (b"1", ("127.0.0.1", port)))
        self.assertEqual(self.msgsend(self.here, "1", "--from", "nobody").returncode, 68)

    def test_json_output_is_json(self):
        result = self.msgsend(self.here, "1", "--json", "--count", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(json.loads(result.stdout.splitlines()[-1]))

    def test_broadcast_without_permission_is_an_error_in_one_line(self):
        result = self.msgsend("255.255.255.255:9", "1")
        self.assertIn(result.returncode, (0, 69, 71, 77))
        self.assertLessEqual(len(result.stderr.splitlines()), 1)

    def test_help_and_version_exit_0_for_every_tool(self):
        for tool in ("msgsend", "msgrecv", "msgls", "msgtap", "msgconnect", "msgctl"):
            shown = self.msgd.tool(tool, "--help")
            self.assertEqual((shown.returncode, shown.stderr), (0, ""))
            self.assertIn("--socket", shown.stdout)
            self.assertRegex(self.msgd.tool(tool, "--version").stdout, tool + r" \d+\.\d+\.\d+|\d+\.\d+\.\d+")
            self.assertEqual(self.msgd.tool(tool, "--nosuchoption").returncode, 64)


main()
