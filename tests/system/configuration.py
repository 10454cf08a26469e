# SPDX-License-Identifier: MIT
"""The configuration: errors name line and column, --check looks for them, a reload takes all or nothing."""

import json
import os
import pathlib
import re
import signal

from msgd_test import Story, VarlinkError, build_path, free_port, main, run, udp_socket, wait_until

# What stands in the file, and a piece of what msgd must say: line, column, what was expected.
WRONG = [
    ("not JSON", '{"workers": 1,}', r":1:\d+: "),
    ("an unfinished file", '{\n  "workers": 1', r":\d+:\d+: "),
    ("no object", "[]", r":1:\d+: .*object"),
    ("an unknown key", '{\n  "wokers": 1\n}', r":2:\d+: .*"),
    ("another type", '{\n\n  "workers": "one"\n}', r":3:\d+: "),
    ("out of range", '{"workers": 0}', r":1:\d+: "),
    ("a port beyond the last", '{"endpoints": [\n{"name": "a", "port": 65536}]}', r":2:\d+: "),
    ("a bad name", '{"endpoints": [\n{"name": "A"}]}', r":2:\d+: "),
    ("an unknown field of an endpoint", '{"endpoints": [\n{"name": "a",\n "colour": "red"}]}', r":3:\d+: "),
    ("an endpoint without a name", '{"endpoints": [\n{"port": 7000}]}', r":2:\d+: .*name"),
    ("the same name twice", '{"endpoints": [\n{"name": "a"},\n{"name": "a"}]}', r":3:\d+: "),
    ("a bad address", '{"endpoints": [\n{"name": "a", "address": "1.2.3"}]}', r":2:\d+: .*address"),
    ("a bad network", '{"endpoints": [\n{"name": "a", "allow": ["10.0.0.1/8"]}]}', r":2:\d+: "),
    ("an unknown user", '{"endpoints": [\n{"name": "a", "users": ["nosuchuser"]}]}', r":2:\d+: .*"),
    ("more shards than workers", '{"endpoints": [\n{"name": "a", "shards": 2}]}', r":2:\d+: .*at most 1, one for each worker"),
    ("a port range backwards", '{"port_range": [200, 100]}', r":1:\d+: "),
    ("a bad rule", '{"policy": [\n{"ports": "80-x"}]}', r":2:\d+: "),
    ("a duplicate key", '{"workers": 1,\n"workers": 1}', r":2:\d+: "),
]


class Errors(Story):
    def config(self, text):
        path = pathlib.Path(self.folder) / "wrong.json"
        path.write_text(text)
        return path

    def test_each_error_names_file_line_and_column_and_exits_78(self):
        for what, text, pattern in WRONG:
            with self.subTest(what):
                path = self.config(text)
                result = run([build_path("msgd"), "--config", path, "--check"])
                self.assertEqual(result.returncode, 78, result.stderr)
                self.assertIn(str(path), result.stderr)
                self.assertRegex(result.stderr, re.escape(str(path)) + pattern)

    def test_a_daemon_with_an_error_does_not_start(self):
        path = self.config('{"wokers": 1}')
        result = run([build_path("msgd"), "--config", path, "--socket", path.parent / "s", "--state", path.parent])
        self.assertEqual(result.returncode, 78)
        self.assertFalse((path.parent / "s").exists())

    def test_a_file_that_is_not_there_is_an_error(self):
        result = run([build_path("msgd"), "--config", "/nonexistent/msgd.json", "--check"])
        self.assertEqual(result.returncode, 78, result.stderr)
        self.assertIn("/nonexistent/msgd.json", result.stderr)

    def test_check_accepts_a_good_file_and_binds_nothing(self):
        port = free_port()
        path = self.config(json.dumps({"endpoints": [{"name": "a", "port": port}]}))
        with udp_socket() as s:
            result = run([build_path("msgd"), "--config", path, "--check"])
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertTrue(s)

    def test_the_file_of_the_manual_is_good(self):
        path = self.config(json.dumps({
            "control": {"socket": "/run/msgd/msgd.sock"}, "state": "/var/lib/msgd", "workers": 1, "workers_cpus": str(min(os.sched_getaffinity(0))), "poll_us": "auto", "coalesce_us": 0, "anticipate_percent": 100,
            "port_range": [10000, 24999], "session_port_range": [25000, 29999],
            "limits": {"endpoints_per_uid": 16384, "mailbox_bytes_per_uid": 1073741824, "connections_per_uid": 256,
                       "sessions_per_uid": 4096, "accept_timeout_s": 30, "quarantine_bytes": 8388608, "frame_bytes": 1048576,
                       "frame_timeout_s": 5, "replies_per_source": 1000, "answers_per_source": 10000,
                       "sources": 16384, "reply_cache_bytes": 1048576,
                       "spool_bytes": 1073741824, "spool_free_bytes": 67108864,
                       "journal_bytes": 67108864},
            "policy": [{"users": ["nobody"], "groups": [], "names": ["sensor-*"], "addresses": ["0.0.0.0"],
                        "ports": "7000-7099,8000"}],
            "endpoints": [{"name": "alarms", "address": "0.0.0.0", "port": 7000, "users": ["nobody"],
                           "allow": ["10.0.0.0/8"]}]}))
        result = run([build_path("msgd"), "--config", path, "--check"])
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_usage_errors_exit_64(self):
        for arguments in (["--nosuchoption"], ["operand"], ["--config"]):
            self.assertEqual(run([build_path("msgd"), *arguments]).returncode, 64)

    def test_help_and_version_exit_0(self):
        self.assertIn("--check", run([build_path("msgd"), "--help"]).stdout)
        self.assertRegex(run([build_path("msgd"), "--version"]).stdout, r"\d+\.\d+\.\d+")

    def test_a_second_daemon_on_the_same_socket_is_refused(self):
        msgd = self.start()
        second = run(msgd.command())
        self.assertNotIn(second.returncode, (0, -signal.SIGSEGV, -signal.SIGABRT))
        self.assertIn(msgd.socket, second.stderr)
        self.assertTrue(msgd.answers())

    def test_a_socket_that_a_killed_daemon_left_is_taken_over(self):
        msgd = self.start()
        msgd.kill()
        msgd.launch()
        self.assertTrue(msgd.answers())

    def test_a_port_range_within_the_kernels_is_said_at_start(self):
        msgd = self.start({"port_range": [40000, 41000]})
        self.assertIn("ip_local_port_range", msgd.program.stderr)


class StaticEndpoints(Story):
    def test_they_fill_before_a_consumer_exists(self):
        port = free_port()
        msgd = self.start({"endpoints": [{"name": "alarms", "port": port}]})
        self.assertEqual(msgd.endpoint("alarms")["state"], "held")
        msgd.send("alarms", [str(n) for n in range(50)])
        msgd.wait_for_ledger("alarms", queued=50)
        self.assertEqual(msgd.receive("alarms").payloads(50), [str(n) for n in range(50)])
        self.assertIs(msgd.endpoint("alarms")["static"], True)

    def test_they_stay_when_their_consumer_goes_or_is_released(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]})
        consumer = msgd.receive("alarms")
        consumer.close()
        msgd.wait_for_state("alarms", "away")
        self.assertEqual(msgd.endpoint("alarms")["lease_s"], -1)
        msgd.release("alarms")
        self.assertIn(msgd.endpoint("alarms")["state"], ("held", "away"))
        msgd.send("alarms", ["1"])
        msgd.wait_for_ledger("alarms", queued=1)

    def test_one_that_cannot_be_bound_is_pending_and_stops_nothing_else(self):
        with udp_socket() as thief:
            port = thief.getsockname()[1]
            msgd = self.start({"endpoints": [{"name": "taken", "port": port}, {"name": "free", "port": 0}]})
            pending = msgd.endpoint("taken")
            self.assertEqual(pending["state"], "pending")
            self.assertIn(str(port), pending["error"])
            self.assertEqual(msgd.endpoint("free")["state"], "held")
            shown = msgd.tool("msgls", "taken").stdout
            self.assertIn("pending", shown)
        msgd.wait_for_state("taken", "held")
        msgd.send("taken", ["1"])
        msgd.wait_for_ledger("taken", queued=1)

    def test_a_pending_endpoint_can_be_attached_already(self):
        with udp_socket() as thief:
            msgd = self.start({"endpoints": [{"name": "taken", "port": thief.getsockname()[1]}]})
            consumer = msgd.connect().stream("Receive", name="taken")
            wait_until(lambda: msgd.endpoint("taken")["consumers"], 5, "the consumer")
        wait_until(lambda: msgd.endpoint("taken")["state"] == "attached", 10, "the endpoint to be bound")
        msgd.send("taken", ["1"])
        self.assertEqual(consumer.receive(10)["payload"], "1")

    def test_endpoints_d_is_read_in_the_order_of_names(self):
        msgd = self.start()
        folder = msgd.folder / "endpoints.d"
        folder.mkdir()
        (folder / "b.json").write_text('{"name": "bees"}')
        (folder / "a.json").write_text('[{"name": "apples"}, {"name": "ants"}]')
        (folder / "ignored.txt").write_text("not JSON")
        self.assertEqual(msgd.call("Reload"), {"added": 3, "removed": 0, "changed": 0})
        self.assertEqual({e["name"] for e in msgd.call("List")["endpoints"]}, {"bees", "apples", "ants"})
        (folder / "c.json").write_text('{"name": "bees"}')
        wrong = self.fails("BadConfiguration", msgd.call, "Reload")
        self.assertEqual(wrong["file"], str(folder / "c.json"))


class Reload(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start({"endpoints": [{"name": "stays", "port": 0}, {"name": "goes", "port": 0},
                                              {"name": "changes", "port": 0, "max_message_bytes": 100}]})

    def new_config(self):
        return {"endpoints": [{"name": "stays", "port": 0}, {"name": "comes", "port": 0},
                              {"name": "changes", "port": 0, "max_message_bytes": 10}]}

    def names(self):
        return {e["name"] for e in self.msgd.call("List")["endpoints"]}

    def test_sighup_takes_what_came_went_and_changed(self):
        port = self.msgd.endpoint("stays")["port"]
        self.msgd.send("stays", ["1"])
        self.msgd.write_config(self.new_config())
        self.msgd.program.send_signal(signal.SIGHUP)
        wait_until(lambda: self.names() == {"stays", "comes", "changes"}, 5, "the new configuration")
        self.assertEqual(self.msgd.endpoint("stays")["port"], port)
        self.msgd.wait_for_ledger("stays", queued=1)
        self.msgd.send("changes", ['"longer than ten"'])
        self.msgd.wait_for_ledger("changes", too_large=1)

    def test_msgctl_reload_says_what_happened(self):
        self.msgd.write_config(self.new_config())
        result = self.msgd.tool("msgctl", "reload", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout), {"added": 1, "removed": 1, "changed": 1})

    def test_a_bad_file_changes_nothing_and_says_where(self):
        self.msgd.write_config('{\n  "endpoints": [\n    {"name": "comes"},\n    {"nam": "x"}]}')
        wrong = self.fails("BadConfiguration", self.msgd.call, "Reload")
        self.assertEqual((wrong["file"], wrong["line"]), (str(self.msgd.config_path), 4))
        result = self.msgd.tool("msgctl", "reload")
        self.assertEqual(result.returncode, 78)
        self.assertRegex(result.stderr, re.escape(str(self.msgd.config_path)) + r":4:\d+: ")
        self.msgd.program.send_signal(signal.SIGHUP)
        self.msgd.program.wait_for_stderr(str(self.msgd.config_path) + ":4:")
        self.assertEqual(self.names(), {"stays", "goes", "changes"})

    def test_limits_and_policy_change_too(self):
        self.msgd.write_config({"limits": {"endpoints_per_uid": 1}})
        self.msgd.call("Reload")
        self.assertEqual(self.names(), set())
        held = []

        def has_room():
            """The endpoints that went count until their sockets have been drained and closed."""
            try:
                held.append(self.msgd.register("one"))
            except VarlinkError as error:
                self.assertEqual(error.name, "QuotaExceeded")
            return held

        wait_until(has_room)
        self.fails("QuotaExceeded", self.msgd.connect().call, "Register", name="two")

    def test_registered_endpoints_are_not_touched(self):
        consumer = self.msgd.receive("dynamic")
        self.msgd.write_config({})
        self.msgd.call("Reload")
        self.msgd.send("dynamic", ["1"])
        self.assertEqual(consumer.payloads(1), ["1"])

    def test_a_consumer_of_an_endpoint_that_goes_is_told(self):
        consumer = self.msgd.receive("goes")
        self.msgd.write_config(self.new_config())
        self.msgd.call("Reload")
        self.fails("NoSuchEndpoint", consumer.connection.receive, 5)


class Ending(Story):
    def test_both_signals_end_it_in_order_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            msgd = self.start()
            msgd.receive("thermo")
            msgd.stop(number)
            self.assertFalse(pathlib.Path(msgd.socket).exists())

    def test_it_ends_at_once_with_many_endpoints_and_messages(self):
        msgd = self.start()
        for i in range(50):
            msgd.register(f"n{i}")
            msgd.send(f"n{i}", [str(n) for n in range(100)])
        msgd.check_laws()
        msgd.stop()


main()
