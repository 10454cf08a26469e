# SPDX-License-Identifier: MIT
"""msgrecv, msgtap and msgls: what they print, when they end, and with which exit code."""

import json
import os
import signal
import subprocess

from msgd_test import Story, build_path, main, numbered, run, send_udp, udp_socket, wait_until


class Receiving(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def msgrecv(self, name, *arguments, **options):
        program = self.msgd.spawn("msgrecv", name, *arguments, **options)
        program.wait_for_stderr(f"msgrecv: {name} at ")
        return program

    def test_it_says_where_it_listens(self):
        program = self.msgrecv("thermo")
        port = self.msgd.endpoint("thermo")["port"]
        self.assertEqual(program.stderr, f"msgrecv: thermo at 127.0.0.1:{port}\n")

    def test_each_message_is_one_line(self):
        program = self.msgrecv("thermo", "--count", "4")
        self.msgd.send("thermo", ["1", ' {"a":\r\n 1}\n', '"line\\nend"', "\t[1]\t"])
        self.assertEqual(program.wait(), 0)
        self.assertEqual(program.lines(), ["1", '{"a":   1}', '"line\\nend"', "[1]"])

    def test_json_prints_the_envelope_with_the_text_itself(self):
        program = self.msgrecv("thermo", "--count", "2", "--json")
        self.msgd.send("thermo", ['{"temp": 1e999}', "null"])
        self.assertEqual(program.wait(), 0)
        first = program.lines()[0]
        self.assertIn('"message":{"temp": 1e999}', first.replace('"message": ', '"message":'))
        envelope = json.loads(first)
        self.assertEqual(envelope["name"], "thermo")
        self.assertNotIn("payload", envelope)
        self.assertEqual(envelope["seq"], 1)
        self.assertIsNone(json.loads(program.lines()[1])["message"])

    def test_raw_bytes_are_base64_in_json(self):
        program = self.msgrecv("raw", "--count", "1", "--json", "--format", "raw")
        self.msgd.send("raw", [b"\0\xff"])
        self.assertEqual(program.wait(), 0)
        self.assertEqual(json.loads(program.lines()[0])["message_base64"], "AP8=")

    def test_count_never_takes_more_than_it_prints(self):
        program = self.msgrecv("thermo", "--count", "3", "--lease", "forever")
        self.msgd.send("thermo", numbered(1, 10))
        self.assertEqual(program.wait(), 0)
        self.assertEqual(len(program.lines()), 3)
        self.msgd.wait_for_ledger("thermo", delivered=3, queued=7)
        again = self.msgrecv("thermo", "--count", "7", "--json")
        self.assertEqual(again.wait(), 0)
        self.assertEqual([json.loads(line)["redelivered"] for line in again.lines()], [False] * 7)

    def test_a_timeout_before_the_count_is_75(self):
        program = self.msgrecv("thermo", "--count", "2", "--timeout", "0.3")
        self.msgd.send("thermo", ["1"])
        self.assertEqual(program.wait(), 75)
        self.assertEqual(program.lines(), ["1"])

    def test_silence_without_a_count_ends_it_with_0(self):
        program = self.msgrecv("thermo", "--timeout", "0.3")
        self.msgd.send("thermo", ["1"])
        self.assertEqual(program.wait(), 0)

    def test_signals_end_it_with_0_and_lose_nothing(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            name = f"thermo{int(number)}"
            program = self.msgrecv(name)
            self.msgd.send(name, numbered(1, 100))
            program.wait_for_lines(1)
            self.assertEqual(program.stop(number), 0)
            printed = len(program.lines())
            self.msgd.wait_for_ledger(name, delivered=printed, queued=100 - printed)

    def test_a_closed_stdout_ends_it_with_0_and_what_was_not_printed_stays(self):
        with subprocess.Popen([build_path("msgrecv"), "thermo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "MSGD_SOCKET": self.msgd.socket}) as program:
            wait_until(lambda: self.msgd.find("thermo"), 5, "msgrecv")
            self.msgd.send("thermo", ["1"])
            self.assertEqual(program.stdout.readline(), b"1\n")
            program.stdout.close()
            self.msgd.wait_for_ledger("thermo", delivered=1)
            self.msgd.send("thermo", ["2"])
            self.assertEqual(program.wait(10), 0)
        self.msgd.wait_for_ledger("thermo", delivered=1, queued=1)

    def test_head_takes_one_line(self):
        self.msgd.register("thermo")
        self.msgd.send("thermo", numbered(1, 5))
        self.msgd.close_connections()
        self.msgd.wait_for_state("thermo", "away")
        result = run(["bash", "-o", "pipefail", "-c", f"{build_path('msgrecv')} thermo --timeout 5 | head -1"],
                     env={**os.environ, "MSGD_SOCKET": self.msgd.socket})
        self.assertEqual(len(result.stdout.splitlines()), 1)
        self.assertIn(result.returncode, (0, 141))

    def test_exec_answers_netcat_and_msgsend(self):
        self.need_program("nc")
        program = self.msgrecv("shout", "--exec", "tr a-z A-Z")
        port = self.msgd.endpoint("shout")["port"]
        result = run(["nc", "-u", "-w", "1", "127.0.0.1", port], input='"from nc"')
        self.assertEqual(result.stdout, '"FROM NC"')
        result = self.msgd.tool("msgsend", "shout", '"from msgsend"', "--reply")
        self.assertEqual(result.stdout, '"FROM MSGSEND"\n')
        self.msgd.sent["shout"] += 2
        self.assertEqual(program.stop(), 0)

    def test_exec_tells_the_command_about_the_message(self):
        command = 'printf "{\\"from\\":\\"$MSGD_FROM\\",\\"to\\":\\"$MSGD_TO\\",\\"seq\\":$MSGD_SEQ,\\"name\\":\\"$MSGD_NAME\\"}"'
        self.msgrecv("about", "--exec", command)
        port = self.msgd.endpoint("about")["port"]
        with udp_socket() as s:
            s.sendto(b"1", ("127.0.0.1", port))
            self.msgd.sent["about"] += 1
            self.assertEqual(json.loads(s.recv(1000)), {"from": "127.0.0.1:%d" % s.getsockname()[1],
                                                        "to": f"127.0.0.1:{port}", "seq": 1, "name": "about"})

    def test_exec_without_output_sends_no_reply(self):
        self.msgrecv("quiet", "--exec", "cat > /dev/null")
        result = self.msgd.tool("msgsend", "quiet", "1", "--reply", "--timeout", "0.5")
        self.msgd.sent["quiet"] += 1
        self.assertEqual(result.returncode, 75)

    def test_a_command_that_fails_sends_no_reply_and_is_named(self):
        program = self.msgrecv("broken", "--exec", "echo never; exit 3")
        result = self.msgd.tool("msgsend", "broken", "1", "--reply", "--timeout", "0.5")
        self.msgd.sent["broken"] += 1
        self.assertEqual(result.returncode, 75)
        program.wait_for_stderr("3")
        self.msgd.wait_for_ledger("broken", delivered=1)

    def test_a_command_that_hangs_is_ended(self):
        program = self.msgrecv("hangs", "--exec", 'case $MSGD_SEQ in 1) sleep 1000;; *) echo 2;; esac', "--exec-timeout", "0.5")
        self.msgd.send("hangs", ["1"])
        result = self.msgd.tool("msgsend", "hangs", "1", "--reply", "--plain", "--timeout", "5")
        self.msgd.sent["hangs"] += 1
        self.assertEqual((result.returncode, result.stdout), (0, "2\n"))
        self.assertTrue(program.is_running())

    def test_exec_drops_one_line_end_of_the_answer_only(self):
        self.msgrecv("lines", "--exec", r"""printf '"a"\n\n'""")
        with udp_socket() as s:
            s.sendto(b"1", ("127.0.0.1", self.msgd.endpoint("lines")["port"]))
            self.msgd.sent["lines"] += 1
            self.assertEqual(s.recv(100), b'"a"\n')

    def test_a_command_that_does_not_read_its_input_does_no_harm(self):
        self.msgrecv("deaf", "--exec", "echo 1")
        for _ in range(10):
            with udp_socket() as s:
                s.sendto(b'"' + b"x" * 60000 + b'"', ("127.0.0.1", self.msgd.endpoint("deaf")["port"]))
                self.msgd.sent["deaf"] += 1
                self.assertEqual(s.recv(100), b"1")

    def test_usage_errors_are_64(self):
        for arguments in ([], ["--nosuchoption"], ["A B"], ["thermo", "--port", "x"], ["thermo", "--single-port"]):
            self.assertEqual(self.msgd.tool("msgrecv", *arguments).returncode, 64, arguments)

    def test_msgd_that_is_not_there_is_69(self):
        result = self.msgd.tool("msgrecv", "thermo", "--socket", "/nonexistent/msgd.sock")
        self.assertEqual((result.returncode, len(result.stderr.splitlines())), (69, 1), result.stderr)

    def test_a_port_that_is_taken_is_73(self):
        with udp_socket() as s:
            result = self.msgd.tool("msgrecv", "thermo", "--port", str(s.getsockname()[1]))
            self.assertEqual(result.returncode, 73, result.stderr)
            self.assertIn(str(s.getsockname()[1]), result.stderr)

    def test_it_takes_a_static_endpoint(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]})
        msgd.send("alarms", ["1"])
        result = msgd.tool("msgrecv", "alarms", "--count", "1")
        self.assertEqual((result.returncode, result.stdout), (0, "1\n"))


class Tapping(Story):
    def test_msgtap_prints_copies_and_takes_none(self):
        msgd = self.start()
        consumer = msgd.receive("thermo")
        tap = msgd.spawn("msgtap", "thermo")
        tap.wait_for_stderr("thermo")
        wait_until(lambda: msgd.send("thermo", ['{"a":\n1}']) and consumer.take(1) and tap.lines(), 5, "the tap")
        self.assertEqual(tap.lines()[0], '{"a": 1}')
        self.assertEqual(tap.stop(signal.SIGINT), 0)

    def test_msgtap_of_nothing_is_68(self):
        msgd = self.start()
        self.assertEqual(msgd.tool("msgtap", "nobody").returncode, 68)

    def test_msgtap_shows_envelopes(self):
        msgd = self.start()
        msgd.register("thermo")
        tap = msgd.spawn("msgtap", "thermo", "--json")
        wait_until(lambda: msgd.send("thermo", ["1"]) and tap.lines(), 5, "the tap")
        self.assertEqual(json.loads(tap.lines()[0])["message"], 1)


class Listing(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def msgls(self, *arguments, **options):
        result = self.msgd.tool("msgls", *arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_the_table_has_its_columns_and_fits_80(self):
        self.msgd.receive("thermo")
        self.msgd.register("a" * 63, address="::1")
        self.msgd.register("both", address="*")
        lines = self.msgls().splitlines()
        for word in ("NAME", "ADDRESS", "STATE", "OWNER", "QUEUED", "RATE", "DROPPED", "CONSUMER"):
            self.assertIn(word, lines[0])
        self.assertTrue(all(len(line) <= 80 for line in lines), [line for line in lines if len(line) > 80])
        self.assertTrue(any(line.startswith("thermo") and "attached" in line for line in lines))

    def test_json_is_one_array_with_the_documented_keys(self):
        self.msgd.receive("thermo")
        self.msgd.send("thermo", ["1", "bad"])
        self.msgd.wait_for_ledger("thermo", received=2)
        endpoints = json.loads(self.msgls("--json"))
        self.assertEqual(len(endpoints), 1)
        e = endpoints[0]
        for key in ("name", "address", "port", "mode", "on_conflict", "may_replace", "lease_s", "mailbox_bytes", "when_full",
                    "durable", "format", "max_message_bytes", "allow", "gro", "shards", "receive_buffer_bytes", "users", "groups",
                    "state", "generation", "owner", "mailbox", "consumers", "ledger", "sessions"):
            self.assertIn(key, e)
        for key in ("since", "datagrams", "kernel_dropped", "kernel_dropped_exact", "received", "delivered", "queued", "spooled",
                    "protocol", "dropped"):
            self.assertIn(key, e["ledger"])
        self.assertEqual(e["sessions"], [])
        self.assertEqual(e["ledger"]["dropped"]["invalid_json"], 1)
        self.assertEqual(set(e["mailbox"]), {"bytes", "used"})

    def test_a_name_shows_settings_sources_and_drops(self):
        port = self.msgd.receive("thermo").port
        self.msgd.sent["thermo"] += send_udp("127.0.0.1", port, ["1", "bad"], source="127.0.0.42")
        self.msgd.wait_for_ledger("thermo", received=2)
        shown = self.msgls("thermo")
        for piece in ("127.0.0.42", "invalid_json", str(port), "drop-new"):
            self.assertIn(piece, shown)
        self.assertTrue(all(len(line) <= 80 for line in shown.splitlines()),
                        [line for line in shown.splitlines() if len(line) > 80])

    def test_drops_shows_the_reasons(self):
        self.msgd.register("thermo")
        self.msgd.send("thermo", ["bad"])
        self.msgd.wait_for_ledger("thermo", invalid_json=1)
        self.assertIn("invalid_json", self.msgls("--drops"))

    def test_a_name_that_is_not_there_is_68(self):
        self.assertEqual(self.msgd.tool("msgls", "nobody").returncode, 68)

    def test_it_says_since_when_a_consumer_is_away(self):
        connection, _ = self.msgd.register("thermo")
        connection.close()
        self.msgd.wait_for_state("thermo", "away")
        self.assertRegex(self.msgls("thermo"), "away since|since")

    def test_nothing_at_all_is_an_empty_array(self):
        self.assertEqual(json.loads(self.msgls("--json")), [])

    def test_watch_goes_on_until_control_c(self):
        watch = self.msgd.spawn("msgls", "--watch")
        self.msgd.register("thermo")
        wait_until(lambda: "thermo" in watch.stdout, 10, "thermo to be shown")
        self.assertEqual(watch.stop(signal.SIGINT), 0)

    def test_kernel_drops_name_the_sysctl(self):
        port = self.msgd.register("thermo", receive_buffer_bytes=4096)[1]["port"]
        os.kill(self.msgd.pid, signal.SIGSTOP)
        try:
            self.msgd.sent["thermo"] += send_udp("127.0.0.1", port, numbered(1, 2000, 1000))
        finally:
            os.kill(self.msgd.pid, signal.SIGCONT)
        self.msgd.check_sent("thermo")
        self.assertGreater(self.msgd.ledger("thermo")["kernel_dropped"], 0)
        self.assertRegex(self.msgls("thermo"), "rmem_max|receive_buffer")

    def test_msgctl_check_host_speaks_of_the_host(self):
        result = self.msgd.tool("msgctl", "check-host")
        self.assertIn(result.returncode, (0, 69, 71, 75, 78), result.stderr)
        for piece in ("rmem_max", "port"):
            self.assertIn(piece, result.stdout)
        found = self.msgd.tool("msgctl", "check-host", "--json")
        self.assertTrue(json.loads(found.stdout))


main()
