# SPDX-License-Identifier: MIT
"""What people see of messages on disk: msgctl spool, msgls, and the methods behind them."""

import contextlib
import json
import sqlite3

from msgd_test import NOBODY, Story, main, numbered, wait_until

SMALL = 70000  # a little more than the least mailbox of messages of 1,000 bytes


def static(name="away", **fields):
    return {"endpoints": [{"name": name, "port": 0, "max_message_bytes": 1000, "mailbox_bytes": SMALL, **fields}]}


class Spool(Story):
    def fill(self, n=2000, limits=None, **fields):
        """An endpoint without a consumer, to which n messages were sent: some are on disk alone."""
        self.msgd = self.start({**static(**({"when_full": "spool"} | fields)), **({"limits": limits} if limits else {})})
        received = 0
        for start in range(1, n + 1, 200):
            received += self.msgd.send("away", numbered(start, min(200, n + 1 - start), 200))
            self.msgd.wait_for_ledger("away", received=received)
        self.wait_until_written()
        return self.msgd.endpoint("away")

    def wait_until_written(self):
        wait_until(lambda: self.msgd.endpoint("away")["spool"]["waiting"] == 0, 10, "everything to be on disk")

    def ctl(self, *arguments, status=0, **options):
        result = self.msgd.tool("msgctl", "spool", *arguments, **options)
        self.assertEqual(result.returncode, status, result.stderr)
        return result.stdout if status == 0 else result.stderr

    def read(self, **parameters):
        return self.msgd.call("SpoolRead", name="away", **parameters)

    def read_all(self, **parameters):
        messages, next_seq = [], 1
        while next_seq is not None:
            reply = self.read(from_seq=next_seq, **parameters)
            self.assertEqual(reply["lost"], 0)
            messages += reply["messages"]
            next_seq = reply["next"]
        return messages

    def test_list_shows_who_has_something_on_disk_and_how_the_database_is(self):
        endpoint = self.fill()
        spool = endpoint["spool"]
        self.assertEqual(spool["messages"], endpoint["ledger"]["spooled"])
        self.assertGreater(spool["messages"], 1000)
        self.assertGreater(spool["bytes"], spool["messages"] * 200)
        self.assertEqual((spool["state"], spool["waiting"]), ("open", 0))
        self.assertRegex(spool["since"], r"^20\d\d-.*Z$")
        self.assertEqual(json.loads(self.ctl("list", "--json")), [{"name": "away", "durable": False, **spool}])
        table = self.ctl("list")
        self.assertIn("away", table)
        self.assertIn(f"{spool['messages']:,}", table)
        self.assertRegex(table, r"msgd\.db: open, .* used")

    def test_an_endpoint_without_a_spool_has_none(self):
        self.msgd = self.start()
        self.msgd.register("away")
        self.assertIsNone(self.msgd.endpoint("away")["spool"])
        self.assertEqual(json.loads(self.ctl("--json")), [])
        self.assertEqual(self.ctl("show", "away"), "")
        self.assertEqual(self.read(), {"messages": [], "next": None, "lost": 0})
        self.assertEqual(self.ctl("purge", "away"), "0 purged\n")

    def test_show_and_export_print_what_is_on_disk_and_take_nothing(self):
        spool = self.fill()["spool"]
        lines = [json.loads(line) for line in self.ctl("export", "away").splitlines()]
        self.assertEqual(len(lines), spool["messages"])
        first = lines[0]
        self.assertEqual(first["message"]["n"], first["seq"])
        self.assertEqual((first["name"], first["type"], first["time"]), ("away", "plain", spool["since"]))
        self.assertEqual([m["seq"] for m in lines], list(range(2001 - spool["messages"], 2001)))
        self.assertEqual(self.ctl("show", "away", "--json"), self.ctl("export", "away"))
        shown = self.ctl("show", "away", "--count", "3").splitlines()
        self.assertEqual(len(shown), 3)
        self.assertRegex(shown[0], rf'^{first["seq"]}  20.*Z  127\.0\.0\.1:\d+  plain  {{"n":{first["seq"]},')
        self.assertEqual(self.msgd.endpoint("away")["spool"], spool)

    def test_export_is_what_msgrecv_would_have_printed(self):
        n = self.fill(1000)["spool"]["messages"]
        exported = [json.loads(line) for line in self.ctl("export", "away").splitlines()]
        printed = self.msgd.tool("msgrecv", "away", "--json", "--count", "1000", "--timeout", "20").stdout.splitlines()
        received = [json.loads(line) for line in printed[-n:]]
        for message in exported + received:
            message.pop("generation")  # msgrecv registers anew
        self.assertEqual(exported, received)

    def test_reading_goes_on_where_a_reply_ended(self):
        n = self.fill()["spool"]["messages"]
        everything = self.read_all()
        self.assertEqual(len(everything), n)
        self.assertEqual(self.read_all(max=7), everything)
        seq = everything[500]["seq"]
        self.assertEqual(self.read(from_seq=seq, max=1), {"messages": [everything[500]], "next": seq + 1, "lost": 0})
        self.assertEqual(self.read(from_seq=1 << 60), {"messages": [], "next": None, "lost": 0})
        self.assertLessEqual(len(self.read()["messages"]), 1000)

    def test_a_reply_is_bounded_in_bytes_too(self):
        self.msgd = self.start(static(when_full="spool", max_message_bytes=60000, mailbox_bytes=200000))
        self.msgd.send("away", [b'"' + b"\\u0000" * 9000 + b'"'] * 20)
        self.msgd.wait_for_ledger("away", received=20)
        self.wait_until_written()
        reply = self.read()
        self.assertLess(len(reply["messages"]), 10)
        self.assertEqual(len(self.read_all()), self.msgd.endpoint("away")["spool"]["messages"])

    def test_purge_throws_away_what_is_on_disk_alone(self):
        endpoint = self.fill()
        n = endpoint["spool"]["messages"]
        self.assertEqual(self.ctl("purge", "away"), f"{n} purged\n")
        ledger = self.msgd.wait_for_ledger("away", purged=n, spooled=0, queued=endpoint["ledger"]["queued"])
        self.assertEqual(sum(ledger["dropped"].values()), n)
        result = self.msgd.tool("msgrecv", "away", "--count", str(ledger["queued"]), "--timeout", "20")
        self.assertEqual(len(result.stdout.splitlines()), 2000 - n)
        self.assertEqual(json.loads(self.ctl("purge", "away", "--json")), {"purged": 0})
        wait_until(lambda: self.read()["messages"] == [], 10, "the disk to be empty")
        drops = self.msgd.tool("msgls", "--drops").stdout
        self.assertIn("purged", drops)

    def test_of_a_durable_endpoint_all_that_is_not_released_is_shown(self):
        self.msgd = self.start(static(durable=True))
        self.msgd.send("away", numbered(1, 100))
        self.msgd.wait_for_ledger("away", received=100)
        wait_until(lambda: len(self.ctl("export", "away").splitlines()) == 100, 10, "all to be on disk")
        self.assertEqual(json.loads(self.ctl("list", "--json"))[0]["name"], "away")
        self.assertEqual(self.msgd.tool("msgrecv", "away", "--count", "60", "--timeout", "20").returncode, 0)
        wait_until(lambda: len(self.ctl("export", "away").splitlines()) == 40, 10, "what was released to be gone")
        self.assertEqual([m["seq"] for m in self.read_all()], list(range(61, 101)))
        self.assertEqual(self.ctl("purge", "away"), "0 purged\n")

    # ---- Replaying ----

    def other(self, name="other", **fields):
        return self.msgd.register(name, **{"mailbox_bytes": 1 << 20} | fields)[0]

    def printed(self, name, n):
        return [json.loads(line) for line in
                self.msgd.tool("msgrecv", name, "--json", "--count", str(n), "--timeout", "20").stdout.splitlines()]

    def test_copies_of_what_is_on_disk_go_to_another_endpoint(self):
        endpoint = self.fill()
        spool = endpoint["spool"]
        self.other().close()
        self.assertEqual(self.ctl("replay", "away", "--to", "other"), f"{spool['messages']} accepted, 0 refused\n")
        self.assertEqual(self.msgd.endpoint("away")["spool"], spool)
        self.msgd.wait_for_ledger("other", datagrams=0, received=spool["messages"], queued=spool["messages"])
        exported = [json.loads(line) for line in self.ctl("export", "away").splitlines()]
        received = self.printed("other", spool["messages"])
        self.assertEqual([m["seq"] for m in received], list(range(1, spool["messages"] + 1)))
        self.assertEqual({m["deliveries"] for m in received}, {1})
        for key in ("time", "from", "to", "type", "id", "message"):
            self.assertEqual([m[key] for m in received], [m[key] for m in exported], key)

    def test_some_of_them_and_from_a_durable_endpoint_too(self):
        self.msgd = self.start(static(durable=True))
        self.msgd.send("away", numbered(1, 100))
        wait_until(lambda: len(self.ctl("export", "away").splitlines()) == 100, 10, "all to be on disk")
        self.other()
        self.assertEqual(self.ctl("replay", "away", "--to", "other", "--number", "11-20"), "10 accepted, 0 refused\n")
        self.assertEqual(self.ctl("replay", "away", "--to", "other", "--number", "7"), "1 accepted, 0 refused\n")
        self.assertEqual(json.loads(self.ctl("replay", "away", "--to", "other", "--number", "99-", "--json")),
                         {"accepted": 2, "refused": 0, "next": None, "lost": 0})
        self.assertEqual(self.msgd.tool("msgrecv", "away", "--count", "60", "--timeout", "20").returncode, 0)
        wait_until(lambda: len(self.ctl("export", "away").splitlines()) == 40, 10, "what was released to be gone")
        self.assertEqual(self.ctl("replay", "away", "--to", "other"), "40 accepted, 0 refused\n")
        self.msgd.wait_for_ledger("other", received=53, queued=53)
        shown = self.ctl("show", "away", "--number", "70-72").splitlines()
        self.assertEqual([line.split()[0] for line in shown], ["70", "71", "72"])

    def test_a_replay_stops_at_the_first_that_finds_no_room(self):
        n = self.fill()["spool"]["messages"]
        first = json.loads(self.ctl("export", "away", "--count", "1"))["seq"]
        self.other(max_message_bytes=1000, mailbox_bytes=SMALL).close()
        result = self.msgd.tool("msgctl", "spool", "replay", "away", "--to", "other")
        self.assertEqual(result.returncode, 75, result.stderr)
        accepted = self.msgd.ledger("other")["queued"]
        self.assertEqual(result.stdout, f"{accepted} accepted, 1 refused\n")
        self.assertIn(f"--number {first + accepted}-", result.stderr)
        self.msgd.wait_for_ledger("other", received=accepted + 1, queued=accepted, mailbox_full=1)
        self.assertLess(accepted, n)
        self.assertEqual(len(self.printed("other", accepted)), accepted)
        again = self.msgd.tool("msgctl", "spool", "replay", "away", "--to", "other", "--number", f"{first + accepted}-")
        self.assertEqual(again.returncode, 75, again.stderr)
        self.assertEqual(self.printed("other", 1)[0]["message"]["n"], first + accepted)

    def test_a_large_spool_goes_from_disk_to_disk(self):
        n = self.fill(20000, spool_bytes=0)["spool"]["messages"]
        self.other(when_full="spool", max_message_bytes=1000, mailbox_bytes=SMALL, spool_bytes=0, lease_s=-1).close()
        self.assertEqual(self.ctl("replay", "away", "--to", "other"), f"{n} accepted, 0 refused\n")
        numbers = [m["message"]["n"] for m in self.printed("other", n)]
        self.assertEqual(numbers, list(range(20001 - n, 20001)))

    def test_what_the_other_endpoint_does_not_take_is_refused(self):
        self.msgd = self.start(static(durable=True, format="raw"))
        self.msgd.send("away", [b"1", b"text", b"\x1e{\"type\":\"send\"}\n2", b"", b"3" * 200])
        wait_until(lambda: len(self.ctl("export", "away").splitlines()) == 5, 10, "all to be on disk")
        self.other(max_message_bytes=100)
        self.assertEqual(self.ctl("replay", "away", "--to", "other"), "1 accepted, 4 refused\n")
        self.msgd.wait_for_ledger("other", received=5, queued=1, invalid_json=2, unsupported=1, too_large=1)
        self.assertEqual(self.msgd.call("Quarantine")["entries"], [])
        self.assertEqual(len(self.ctl("export", "away").splitlines()), 5)

    def test_without_another_endpoint_it_is_the_quarantine_that_is_given_again(self):
        self.msgd = self.start(static(when_full="spool"))
        self.msgd.send("away", [b"bad", b'"good"'])
        self.msgd.wait_for_ledger("away", received=2, invalid_json=1)
        self.assertEqual(self.ctl("replay", "away"), "0 accepted, 1 refused\n")
        self.assertEqual(json.loads(self.ctl("replay", "away", "--json")), {"accepted": 0, "refused": 1, "next": None})
        self.msgd.wait_for_ledger("away", datagrams=2, received=4, invalid_json=3, queued=1)

    def test_what_was_exported_can_be_sent_again(self):
        n = self.fill()["spool"]["messages"]
        self.other(lease_s=-1).close()
        bare = self.ctl("export", "away", "--bare")
        self.assertEqual(self.msgd.tool("msgsend", "other", "--ack", input=bare).returncode, 0)
        received = self.printed("other", n)
        self.assertEqual(sorted(m["message"]["n"] for m in received), list(range(2001 - n, 2001)))

    def test_msgls_counts_what_is_on_disk_and_says_how_it_is(self):
        endpoint = self.fill()
        row = next(line for line in self.msgd.tool("msgls").stdout.splitlines() if line.startswith("away"))
        self.assertIn(" 2.0k ", row)
        detail = " ".join(self.msgd.tool("msgls", "away").stdout.split())
        self.assertIn(f"spool open: {endpoint['spool']['messages']:,} messages", detail)
        self.assertIn("when_full spool, durable no, spool_bytes 268435456, spool_messages 0", detail)

    def test_a_spool_that_is_full_is_named_with_what_to_do(self):
        endpoint = self.fill(1000, spool_messages=200)
        self.assertEqual((endpoint["spool"]["state"], endpoint["spool"]["messages"]), ("full", 200))
        text = " ".join(self.msgd.tool("msgls").stdout.split())
        self.assertIn("away: its spool is full (200 messages", text)
        self.assertIn("--spool-bytes", text)

    def test_a_database_without_room_is_named_by_every_tool(self):
        self.fill(10, limits={"spool_free_bytes": 1 << 50})
        store = self.msgd.call("GetInfo")["store"]
        self.assertEqual((store["state"], store["error"]), ("full", "No space left on device"))
        self.assertEqual(self.msgd.endpoint("away")["spool"]["state"], "full")
        for tool in (("msgls",), ("msgls", "away"), ("msgctl", "spool", "list"), ("msgctl", "check-host")):
            result = self.msgd.tool(*tool)
            self.assertIn("limits.spool_free_bytes", " ".join(result.stdout.split()), tool)
        self.assertIn('msgd_store_state{state="full"} 1', self.msgd.call("Metrics")["text"])

    # ---- Damage ----

    def shown(self):
        """How the database is, as every tool says it."""
        texts = {" ".join(self.msgd.tool(*tool).stdout.split()) for tool in
                 (("msgctl", "spool", "list"), ("msgctl", "check-host"), ("msgctl", "info"))}
        self.assertTrue(all("damaged row" in text or "wrong in" in text for text in texts), texts)
        return " | ".join(texts)

    def test_a_registration_whose_row_is_damaged_is_gone_and_that_is_said(self):
        self.msgd = self.start()
        self.msgd.register("good")
        self.msgd.register("bad")
        self.msgd.stop()
        with contextlib.closing(sqlite3.connect(self.msgd.state_path / "msgd.db")) as database:
            database.execute("UPDATE registration SET content = substr(content, 1, 9) || 'x' || substr(content, 11) WHERE name = 'bad'")
            database.commit()
        self.msgd.launch()
        self.assertEqual([e["name"] for e in self.msgd.call("List")["endpoints"]], ["good"])
        self.assertEqual(self.msgd.call("GetInfo")["store"]["damaged_rows"], 1)
        self.assertIn("1 damaged row", self.shown())
        self.assertIn("msgd_store_damaged_rows 1\n", self.msgd.call("Metrics")["text"])
        self.msgd.register("bad")
        self.msgd.stop()
        self.assertIn("of table registration is damaged, and set aside", self.msgd.program.stderr)

    def test_a_log_that_was_wrong_is_said(self):
        self.fill(1000)
        self.msgd.kill()
        with open(self.msgd.state_path / "msgd.db-wal", "r+b") as log:
            log.seek(20)
            byte = log.read(1)[0]
            log.seek(20)
            log.write(bytes([byte ^ 1]))
        self.msgd.sent.clear()
        self.msgd.launch()
        store = self.msgd.call("GetInfo")["store"]
        self.assertEqual((store["log_mended"], store["log_broke_off"]), (1, False))
        self.assertIn("its log was wrong in 1 place", self.shown())
        self.assertIn("msgd_store_log_mended 1\n", self.msgd.call("Metrics")["text"])

    def test_the_metrics_count_it(self):
        spool = self.fill()["spool"]
        text = self.msgd.call("Metrics")["text"]
        labels = f'{{name="away",address="127.0.0.1:{self.msgd.endpoint("away")["port"]}"}}'
        self.assertIn(f"msgd_spooled{labels} {spool['messages']}\n", text)
        self.assertIn(f"msgd_spool_bytes{labels} {spool['bytes']}\n", text)

    def test_words_that_are_wrong_are_named(self):
        self.msgd = self.start()
        self.assertIn("did you mean purge", self.ctl("purg", "a", status=64))
        for words in (("show",), ("export", "A"), ("list", "a"), ("show", "a", "b"), ("purge", "a", "--count", "1"),
                      ("replay",), ("replay", "a", "--to", "a"), ("replay", "a", "--to", "A"), ("replay", "a", "--number", "3-2"),
                      ("replay", "a", "--number", "x"), ("replay", "a", "--count", "1"), ("show", "a", "--to", "b"),
                      ("show", "a", "--bare")):
            self.ctl(*words, status=64)
        self.assertEqual(self.msgd.tool("msgctl", "metrics", "--count", "1").returncode, 64)
        for verb in ("show", "export", "purge", "replay"):
            self.ctl(verb, "nobody", status=68)
        self.ctl("replay", "nobody", "--to", "a", status=68)
        self.msgd.register("a")
        self.ctl("replay", "a", "--to", "nobody", status=68)
        self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "SpoolReplay", name="a", to="a")
        self.fails("org.varlink.service.InvalidParameter", self.msgd.call, "SpoolRead", name="a", max=0)

    def test_it_is_for_the_owner_and_administrators(self):
        self.need_root()
        self.fill(300)
        for verb in ("show", "export", "purge", "replay"):
            self.ctl(verb, "away", status=77, uid=NOBODY)
        self.ctl("replay", "away", "--to", "away2", status=77, uid=NOBODY)
        self.assertEqual(self.msgd.ledger("away")["dropped"], {})


main()
