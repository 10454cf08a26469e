# SPDX-License-Identifier: MIT
"""Who may do what: two users, an administrator, rules of policy, quotas."""

import json
import os
import pathlib
import sys

from msgd_test import NOBODY, Connection, Story, VarlinkError, main, numbered, run, send_udp

OTHER = 65533

# Calls made as another user, each with its own connection: [[method, parameters, more]...] on stdin.
AS_ANOTHER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from msgd_varlink import Connection, VarlinkError
for method, parameters, more in json.load(sys.stdin):
    with Connection(sys.argv[2]) as c:
        c.send(method, parameters, **({"more": True} if more else {}))
        try:
            print(json.dumps(["ok", c.receive(0.5)]))
        except VarlinkError as error:
            print(json.dumps([error.name, error.parameters]))
        except TimeoutError:
            print(json.dumps(["ok", None]))
"""


class Access(Story):
    def setUp(self):
        super().setUp()
        self.need_root()

    def calls_as(self, uid, msgd, calls):
        """[(error name or "ok", parameters)...] of calls that another user makes."""
        support = pathlib.Path(__file__).resolve().parents[1] / "support"
        script = pathlib.Path(self.folder) / "as_another.py"
        script.write_text(AS_ANOTHER)
        for module in ("msgd_varlink.py",):
            (script.parent / module).write_text((support / module).read_text())
        calls = [[c[0], c[1], len(c) > 2] for c in calls]
        result = run([sys.executable, "-B", script, script.parent, msgd.socket], uid=uid, input=json.dumps(calls))
        self.assertEqual(result.returncode, 0, result.stderr)
        return [tuple(json.loads(line)) for line in result.stdout.splitlines()]

    def one_call_as(self, uid, msgd, method, **parameters):
        return self.calls_as(uid, msgd, [(method, parameters)])[0]

    def test_any_user_registers_on_loopback_from_1024_up(self):
        msgd = self.start()
        for parameters in ({}, {"port": 24999}, {"address": "::1"}, {"address": "127.9.9.9"}):
            outcome, reply = self.one_call_as(NOBODY, msgd, "Register", name="thermo", lease_s=0, **parameters)
            self.assertEqual(outcome, "ok", (parameters, reply))

    def test_any_user_is_refused_elsewhere_and_told_the_rule(self):
        msgd = self.start()
        for parameters in ({"address": "0.0.0.0"}, {"address": "*"}, {"address": "::"}, {"address": "192.0.2.1"},
                           {"address": "239.1.1.1"}, {"port": 1023}, {"port": 1}):
            outcome, reply = self.one_call_as(NOBODY, msgd, "Register", name="thermo", **parameters)
            self.assertEqual(outcome, "NotPermitted", parameters)
            self.assertTrue(reply["rule"])

    def test_root_registers_anything(self):
        msgd = self.start()
        msgd.register("thermo", address="*")
        self.assertEqual(msgd.endpoint("thermo")["owner"]["uid"], 0)

    def test_a_rule_permits_what_it_says_and_reserves_its_names(self):
        msgd = self.start({"policy": [{"users": [str(NOBODY)], "names": ["sensor-*"], "addresses": ["0.0.0.0"],
                                       "ports": "7000-7099,8000"}]})
        attempts = [
            ({"name": "sensor-a", "address": "0.0.0.0", "port": 17}, "NotPermitted"),
            ({"name": "sensor-a", "address": "0.0.0.0", "port": 7100}, "NotPermitted"),
            ({"name": "sensor-a", "address": "::", "port": 7001}, "NotPermitted"),
            ({"name": "other", "address": "0.0.0.0", "port": 7001}, "NotPermitted"),
        ]
        for parameters, wanted in attempts:
            self.assertEqual(self.one_call_as(NOBODY, msgd, "Register", **parameters)[0], wanted, parameters)
        outcome = self.one_call_as(NOBODY, msgd, "Register", name="sensor-a", address="0.0.0.0", port=7099, lease_s=0)
        self.assertIn(outcome[0], ("ok", "PortTaken"))
        self.assertEqual(self.one_call_as(OTHER, msgd, "Register", name="sensor-b")[0], "NotPermitted")
        self.assertEqual(self.one_call_as(OTHER, msgd, "Register", name="sensors", lease_s=0)[0], "ok")

    def test_the_name_of_a_static_endpoint_is_reserved(self):
        msgd = self.start({"endpoints": [{"name": "alarms", "port": 0}]})
        self.assertEqual(self.one_call_as(NOBODY, msgd, "Register", name="alarms")[0], "NotPermitted")

    def test_a_static_endpoint_belongs_to_its_users_and_groups(self):
        msgd = self.start({"endpoints": [{"name": "mine", "port": 0, "users": [str(NOBODY)]},
                                         {"name": "ours", "port": 0, "groups": [str(NOBODY)]},
                                         {"name": "root-s", "port": 0}]})
        calls = [("Receive", {"name": n}, True) for n in ("mine", "ours", "root-s")]
        self.assertEqual([o for o, _ in self.calls_as(NOBODY, msgd, calls)], ["ok", "ok", "NotPermitted"])
        self.assertEqual([o for o, _ in self.calls_as(OTHER, msgd, calls)], ["NotPermitted"] * 3)

    def test_what_belongs_to_one_user_is_closed_to_another(self):
        msgd = self.start()
        consumer = msgd.receive("thermo", ack="manual")
        msgd.send("thermo", [b"1", b"no JSON"])
        message = consumer.take(1)[0]
        about = {"name": "thermo", "generation": 1, "seq": message["seq"]}
        calls = [
            ("Attach", {"name": "thermo"}),
            ("Receive", {"name": "thermo"}, True),
            ("Ack", about),
            ("Reply", {**about, "payload": "1"}),
            ("Send", {"name": "thermo", "to": "127.0.0.1:9", "payload": "1"}),
            ("Tap", {"name": "thermo"}, True),
            ("Quarantine", {"name": "thermo"}),
            ("QuarantineReplay", {"name": "thermo"}),
            ("QuarantinePurge", {"name": "thermo"}),
            ("Quarantine", {}),
            ("Release", {"name": "thermo"}),
            ("Reload", {}),
        ]
        for call, (outcome, _) in zip(calls, self.calls_as(NOBODY, msgd, calls), strict=True):
            with self.subTest(call[0]):
                self.assertIn(outcome, ("NotPermitted", "NameTaken") if call[0] == "Receive" else ("NotPermitted",))
        self.assertEqual(msgd.ledger("thermo")["queued"], 1)

    def test_an_administrator_may_do_to_others_what_the_owner_may(self):
        msgd = self.start()
        consumer = msgd.spawn("msgrecv", "thermo", uid=NOBODY)
        consumer.wait_for_stderr("thermo at")
        msgd.connect().stream("Tap", name="thermo")
        msgd.send("thermo", [b"bad"])
        msgd.wait_for_ledger("thermo", invalid_json=1)
        self.assertEqual(len(msgd.call("Quarantine", name="thermo")["entries"]), 1)
        msgd.release("thermo")
        self.assertNotEqual(consumer.wait(), 0)

    def test_any_user_lists_and_resolves_but_sees_no_details_of_others(self):
        msgd = self.start()
        consumer = msgd.receive("thermo")
        msgd.sent["thermo"] += send_udp("127.0.0.1", consumer.port, ["1", "bad"])
        msgd.wait_for_ledger("thermo", received=2)
        mine = msgd.endpoint("thermo")
        self.assertEqual(mine["owner"]["pid"], os.getpid())
        self.assertTrue(mine["sources"])
        outcome, reply = self.one_call_as(NOBODY, msgd, "List", names=["thermo"])
        self.assertEqual(outcome, "ok")
        theirs = reply["endpoints"][0]
        self.assertEqual((theirs["name"], theirs["port"], theirs["owner"]["uid"]), ("thermo", consumer.port, 0))
        self.assertIsNone(theirs["owner"].get("exe"))
        self.assertFalse(theirs.get("sources"))
        self.assertEqual(self.one_call_as(NOBODY, msgd, "Resolve", name="thermo")[0], "ok")
        self.assertEqual(self.one_call_as(NOBODY, msgd, "Metrics")[0], "ok")

    def test_a_daemon_of_an_ordinary_user_needs_no_configuration(self):
        msgd = self.start(uid=NOBODY)
        consumer = msgd.spawn("msgrecv", "thermo", "--count", "1", uid=NOBODY)
        consumer.wait_for_stderr("thermo at")
        sent = msgd.tool("msgsend", "thermo", "1", uid=NOBODY)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        msgd.sent["thermo"] += 1
        self.assertEqual(consumer.wait(), 0)
        self.assertEqual(consumer.lines(), ["1"])

    def test_the_user_that_msgd_runs_as_is_an_administrator(self):
        msgd = self.start(uid=NOBODY)
        msgd.register("thermo")
        self.assertEqual(self.one_call_as(NOBODY, msgd, "Reload")[0], "ok")
        self.assertEqual(self.one_call_as(NOBODY, msgd, "Release", name="thermo")[0], "ok")

    def test_the_daemon_of_an_ordinary_user_cannot_bind_below_1024(self):
        msgd = self.start(uid=NOBODY)
        with self.assertRaises(VarlinkError) as caught:
            msgd.register("low", port=1023)
        self.assertIn(caught.exception.name, ("NotPermitted",))

    def test_the_socket_is_open_to_everyone(self):
        msgd = self.start()
        self.assertEqual(os.stat(msgd.socket).st_mode & 0o777, 0o666)


class Quotas(Story):
    def test_endpoints_per_uid_is_a_limit_that_names_itself(self):
        msgd = self.start({"limits": {"endpoints_per_uid": 3}})
        for i in range(3):
            msgd.register(f"n{i}")
        over = self.fails("QuotaExceeded", msgd.connect().call, "Register", name="n3")
        self.assertEqual((over["quota"], over["limit"], over["used"]), ("endpoints_per_uid", 3, 3))
        msgd.release("n0")
        msgd.register("n3")

    def test_the_tool_exits_75_at_a_quota(self):
        msgd = self.start({"limits": {"endpoints_per_uid": 1}})
        msgd.register("n0")
        result = msgd.tool("msgrecv", "n1", "--timeout", "1")
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("endpoints_per_uid", result.stderr)

    def test_connections_per_uid_is_a_limit_and_others_go_on(self):
        msgd = self.start({"limits": {"connections_per_uid": 5}})
        consumer = msgd.receive("thermo")
        held = []
        try:
            while len(held) < 20:
                c = Connection(msgd.socket)
                held.append(c)
                c.call("GetInfo")
        except Exception:  # closed by msgd, in whatever way that shows
            pass
        self.assertLess(len(held), 7)
        msgd.sent["thermo"] += send_udp("127.0.0.1", consumer.port, ["1"])
        self.assertEqual(consumer.payloads(1), ["1"])
        self.assertIn("connections_per_uid", msgd.program.stderr)
        for c in held:
            c.close()

    def test_quarantine_bytes_are_a_bound_and_the_oldest_go(self):
        msgd = self.start({"limits": {"quarantine_bytes": 65536}})
        consumer = msgd.receive("thermo")
        for start in range(0, 1000, 100):
            msgd.sent["thermo"] += send_udp("127.0.0.1", consumer.port, [b"x" * 500 + b"%d" % n for n in range(start, start + 100)])
            msgd.wait_for_ledger("thermo", invalid_json=start + 100)
        kept = msgd.call("Quarantine", name="thermo")
        self.assertLess(len(kept["entries"]), 131)
        self.assertGreater(len(kept["entries"]), 50)
        self.assertGreaterEqual(kept["discarded"] + len(kept["entries"]), 1000)

    def test_a_mailbox_must_hold_a_largest_message_and_fit_the_quota(self):
        msgd = self.start({"limits": {"mailbox_bytes_per_uid": 1 << 20}})
        for n in (0, 1, 65536, (1 << 20) + 1):
            self.fails("org.varlink.service.InvalidParameter", msgd.connect().call, "Register", name="thermo", mailbox_bytes=n)
        msgd.register("thermo", mailbox_bytes=1 << 20)
        msgd.send("thermo", numbered(1, 10))


main()
