# SPDX-License-Identifier: MIT
"""Quarantine: list, show, replay, purge; and what Metrics and introspection publish."""

import base64
import json
import re

from msgd_test import SOURCE, Connection, Story, main, n_descriptors, run, wait_until

FRAMED = b'\x1e{"type":"hologram"}\n1'


class Quarantine(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()
        self.consumer = self.msgd.receive("thermo", max_message_bytes=100)

    def reject(self, *datagrams):
        before = len(self.entries())
        self.msgd.send("thermo", datagrams)
        self.msgd.wait_for_ledger("thermo", datagrams=self.msgd.sent["thermo"])
        self.assertEqual(len(self.entries()), before + len(datagrams))

    def entries(self, **parameters):
        return self.msgd.call("Quarantine", **parameters)["entries"]

    def ctl(self, *arguments):
        return self.msgd.tool("msgctl", "quarantine", *arguments)

    def test_entries_come_oldest_first_and_without_bytes_unless_asked(self):
        self.reject(b"one", FRAMED, b"3" * 101)
        entries = self.entries(name="thermo")
        self.assertEqual([e["reason"] for e in entries], ["invalid_json", "unsupported", "too_large"])
        self.assertEqual([e["bytes"] for e in entries], [3, len(FRAMED), 101])
        self.assertTrue(all(e.get("payload_base64") is None for e in entries))
        self.assertEqual(len({e["id"] for e in entries}), 3)
        with_bytes = self.entries(id=entries[0]["id"], payload=True)
        self.assertEqual(base64.b64decode(with_bytes[0]["payload_base64"]), b"one")

    def test_what_is_good_now_can_be_replayed(self):
        self.reject(b"1" * 101, b"bad")
        self.msgd.connections[0].close()
        self.msgd.wait_for_state("thermo", "away")
        consumer = self.msgd.receive("thermo", max_message_bytes=1000)
        self.assertEqual(self.msgd.call("QuarantineReplay", name="thermo"), {"accepted": 1, "refused": 1, "next": None})
        message = consumer.take(1)[0]
        self.assertEqual(message["payload"], "1" * 101)
        self.assertEqual([e["reason"] for e in self.entries()], ["invalid_json"])
        ledger = self.msgd.ledger("thermo")
        self.assertEqual((ledger["datagrams"], ledger["delivered"]), (2, 1))
        self.assertGreaterEqual(ledger["received"], 3)

    def loosen(self):
        """The same endpoint with room for longer messages, and its consumer."""
        self.msgd.connections[0].close()
        self.msgd.wait_for_state("thermo", "away")
        return self.msgd.receive("thermo", max_message_bytes=1000)

    def test_some_of_a_name_can_be_replayed(self):
        self.reject(*[b"%d" % n + b"0" * 100 for n in range(1, 6)])
        ids = [e["id"] for e in self.entries()]
        consumer = self.loosen()
        self.assertEqual(self.msgd.call("QuarantineReplay", name="thermo", id=ids[1], last_id=ids[2]),
                         {"accepted": 2, "refused": 0, "next": None})
        self.assertEqual([p[0] for p in consumer.payloads(2)], ["2", "3"])
        self.assertEqual([e["id"] for e in self.entries()], [ids[0], *ids[3:]])
        self.assertIn("2 accepted, 0 refused", self.ctl("replay", "thermo", "--number", f"{ids[3]}-").stdout)
        self.assertEqual(self.ctl("replay", "thermo", "--number", str(ids[0])).returncode, 0)
        self.assertEqual([p[0] for p in consumer.payloads(3)], ["4", "5", "1"])
        self.msgd.wait_for_ledger("thermo", datagrams=5, received=10, delivered=5, too_large=5)
        for wrong in ({"last_id": 3}, {"id": 1, "last_id": 3}):
            self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "QuarantineReplay", **wrong)

    def test_one_that_finds_no_room_ends_a_replay_and_loses_nothing(self):
        self.reject(*[b'"%d' % n + b"0" * 20000 + b'"' for n in range(8)])
        ids = [e["id"] for e in self.entries()]
        self.msgd.connections[0].close()
        self.msgd.wait_for_state("thermo", "away")
        self.msgd.register("thermo", max_message_bytes=40000, mailbox_bytes=70000)
        reply = self.msgd.call("QuarantineReplay", name="thermo")
        self.assertEqual(reply, {"accepted": 3, "refused": 1, "next": ids[3]})
        self.assertEqual([e["id"] for e in self.entries()], ids[3:])
        result = self.ctl("replay", "thermo")
        self.assertEqual((result.returncode, result.stdout), (75, "0 accepted, 1 refused\n"))
        self.assertIn(f"--number {ids[3]}-", result.stderr)
        self.msgd.wait_for_ledger("thermo", received=13, queued=3, too_large=8, mailbox_full=2)

    def test_another_endpoint_can_have_them(self):
        self.reject(b"bad")
        self.msgd.register("bytes", format="raw")
        self.assertEqual(self.ctl("replay", "thermo", "--to", "bytes").stdout, "1 accepted, 0 refused\n")
        self.assertEqual(self.entries(), [])
        self.msgd.wait_for_ledger("bytes", datagrams=0, received=1, queued=1)
        self.fails("NoSuchEndpoint", self.msgd.call, "QuarantineReplay", name="thermo", to="nobody")

    def test_one_or_all_can_be_purged(self):
        self.reject(b"one", b"two", b"three")
        first = self.entries()[0]["id"]
        self.assertEqual(self.msgd.call("QuarantinePurge", id=first), {"purged": 1})
        self.assertEqual(self.msgd.call("QuarantinePurge", name="thermo"), {"purged": 2})
        self.assertEqual(self.entries(), [])

    def test_a_name_that_is_not_there_is_an_error(self):
        for method in ("Quarantine", "QuarantineReplay", "QuarantinePurge"):
            self.fails("NoSuchEndpoint", self.msgd.call, method, name="nobody")

    def test_msgctl_lists_shows_replays_and_purges(self):
        self.reject(b"one", FRAMED)
        listed = self.ctl("list", "--json")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        entries = json.loads(listed.stdout)
        entries = entries["entries"] if isinstance(entries, dict) else entries
        self.assertEqual([e["reason"] for e in entries], ["invalid_json", "unsupported"])
        table = self.ctl("list")
        self.assertIn("invalid_json", table.stdout)
        self.assertIn("thermo", table.stdout)
        shown = self.ctl("show", entries[0]["id"])
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("one", shown.stdout)
        self.assertEqual(self.ctl("replay", "thermo").returncode, 0)
        self.assertEqual(len(self.entries()), 2)
        self.assertEqual(self.ctl("purge", "thermo").returncode, 0)
        self.assertEqual(self.entries(), [])

    def test_entries_outlive_their_endpoint_or_go_with_it_without_harm(self):
        self.reject(b"one")
        self.msgd.release("thermo")
        self.entries()
        self.msgd.call("QuarantineReplay")
        self.msgd.call("QuarantinePurge")


# One line of the exposition format, version 0.0.4.
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$')


class Metrics(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def samples(self, text):
        """{(name, labels as text): value}, each line checked."""
        found, types = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.assertNotIn(name, types, "TYPE twice")
                types[name] = kind
            elif line and not line.startswith("#"):
                match = SAMPLE.match(line)
                self.assertTrue(match, f"no sample: {line!r}")
                self.assertNotIn((match[1], match[2]), found, "the same sample twice")
                self.assertIn(match[1], types, "a sample before its TYPE")
                found[match[1], match[2]] = float(match[3])
        return found

    def test_the_text_parses_and_counts_what_happened(self):
        consumer = self.msgd.receive("thermo")
        self.msgd.send("thermo", ["1", "2", "bad"])
        consumer.take(2)
        self.msgd.wait_for_ledger("thermo", delivered=2, invalid_json=1)
        text = self.msgd.call("Metrics")["text"]
        self.assertTrue(text.endswith("\n"))
        samples = self.samples(text)
        about = {k: v for k, v in samples.items() if k[1] and '"thermo"' in k[1]}
        by_name = {}
        for (name, _), value in about.items():
            by_name[name] = by_name.get(name, 0) + value
        self.assertEqual(by_name["msgd_datagrams_total"], 3)
        self.assertEqual(by_name["msgd_delivered_total"], 2)
        self.assertEqual(by_name["msgd_dropped_total"], 1)

    def test_msgctl_prints_the_same_text(self):
        self.msgd.register("thermo")
        result = self.msgd.tool("msgctl", "metrics")
        self.assertEqual(result.returncode, 0)
        self.samples(result.stdout)
        self.assertIn("msgd_datagrams_total", result.stdout)


class Introspection(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def test_get_info_names_both_interfaces(self):
        info = self.msgd.call("org.varlink.service.GetInfo")
        self.assertEqual(set(info), {"vendor", "product", "version", "url", "interfaces"})
        self.assertEqual(set(info["interfaces"]), {"org.varlink.service", "io.msgd"})

    def test_the_description_is_the_published_file(self):
        text = self.msgd.call("org.varlink.service.GetInterfaceDescription", interface="io.msgd")["description"]
        self.assertEqual(text, (SOURCE / "proto/io.msgd.varlink").read_text())
        standard = self.msgd.call("org.varlink.service.GetInterfaceDescription", interface="org.varlink.service")
        self.assertIn("interface org.varlink.service", standard["description"])

    def test_every_published_method_is_there(self):
        text = (SOURCE / "proto/io.msgd.varlink").read_text()
        methods = re.findall(r"^method (\w+)\(", text, re.M)
        self.assertIn("Register", methods)
        for method in methods:
            with self.subTest(method), Connection(self.msgd.socket) as c:
                c.send(method, {"nosuchfield": 1}, more=True)
                wrong = self.fails("org.varlink.service.InvalidParameter", c.receive)
                self.assertIn(wrong["parameter"], ("nosuchfield", "name"))

    def test_errors_are_those_of_the_standard(self):
        call = self.msgd.call
        self.assertEqual(self.fails("org.varlink.service.MethodNotFound", call, "io.msgd.Nothing")["method"], "io.msgd.Nothing")
        self.assertEqual(self.fails("org.varlink.service.InterfaceNotFound", call, "org.example.Nothing")["interface"], "org.example")
        self.assertEqual(self.fails("org.varlink.service.InterfaceNotFound", call, "org.varlink.service.GetInterfaceDescription",
                                    interface="org.example")["interface"], "org.example")
        self.assertEqual(self.fails("org.varlink.service.InvalidParameter", call, "Register")["parameter"], "name")
        self.assertEqual(self.fails("org.varlink.service.InvalidParameter", call, "Register", name=5)["parameter"], "name")
        self.assertEqual(self.fails("org.varlink.service.InvalidParameter", call, "Register", name="a", port=1.5)["parameter"], "port")

    def test_null_means_absent(self):
        _, reply = self.msgd.register("thermo", port=None, mode=None, allow=None)
        self.assertEqual(reply["address"], "127.0.0.1")

    def test_varlinkctl_can_introspect_and_call(self):
        self.need_program("varlinkctl")
        shown = run(["varlinkctl", "introspect", self.msgd.socket, "io.msgd"])
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertIn("Register", shown.stdout)
        called = run(["varlinkctl", "call", "--json=short", self.msgd.socket, "io.msgd.GetInfo", "{}"])
        self.assertEqual(json.loads(called.stdout)["pid"], self.msgd.pid)

    def test_get_info_says_what_the_daemon_runs_with(self):
        with self.start("{}").connect() as c:
            info = c.call("GetInfo")
            # One that is being opened or closed is seen by who counts it a moment later.
            wait_until(lambda: c.call("GetInfo")["descriptors_used"] == n_descriptors(info["pid"]), 5, "both to count the same")
        self.assertEqual((info["pid"], info["socket"], info["workers"]), (self.daemons[-1].pid, self.daemons[-1].socket, 1))
        self.assertEqual(info["port_range"], [10000, 24999])
        self.assertEqual(info["limits"]["endpoints_per_uid"], 16384)
        store = info["store"]
        self.assertEqual((store["path"], store["state"], store["error"]), (str(self.daemons[-1].state_path / "msgd.db"), "open", None))
        self.assertEqual((store["max_bytes"], store["damaged_rows"]), (info["limits"]["spool_bytes"], 0))
        self.assertGreater(store["max_bytes"], store["file_bytes"])
        self.assertGreaterEqual(store["file_bytes"], store["used_bytes"])


main()
