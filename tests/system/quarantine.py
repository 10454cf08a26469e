# SPDX-License-Identifier: MIT
"""The quarantine outlives msgd: restarts, kills, upgrades, a database without room."""

import contextlib
import re
import signal
import sqlite3

from msgd_keeper import KeptDaemon
from msgd_test import Story, main, wait_until

BAD = [b"", b"one", b"\xff\xfe", b"[" * 200, b"x" * 60000]
NO_ROOM = {"spool_free_bytes": 1 << 50}  # the disk never has as much free


def config(**limits):
    return {"endpoints": [{"name": "thermo", "port": 0}], "limits": limits}


def entries(msgd):
    return msgd.call("Quarantine", payload=True)["entries"]


def n_unwritten(msgd):
    return int(re.search(r"^msgd_quarantine_unwritten (\d+)$", msgd.call("Metrics")["text"], re.M)[1])


def reject(msgd, datagrams):
    """Sends them, and waits until they are counted. Returns the entries there are then."""
    before = msgd.ledger("thermo")["dropped"].get("invalid_json", 0)
    n = msgd.send("thermo", datagrams)
    msgd.wait_for_ledger("thermo", invalid_json=before + n)
    return entries(msgd)


def wait_until_written(msgd):
    wait_until(lambda: n_unwritten(msgd) == 0, 10, "the quarantine to be on disk")


def rows(msgd):
    """What a msgd that has stopped left in its database."""
    with contextlib.closing(sqlite3.connect(msgd.state_path / "msgd.db")) as database:
        return database.execute("SELECT id FROM quarantine ORDER BY id").fetchall()


class Restarted(Story):
    """Without anybody who keeps descriptors."""

    def again(self, msgd, number=signal.SIGTERM):
        msgd.kill() if number == signal.SIGKILL else msgd.stop(number)
        msgd.sent.clear()
        msgd.launch()

    def test_it_is_the_same_after_an_orderly_restart_at_once(self):
        msgd = self.start(config())
        before = reject(msgd, BAD)
        self.assertEqual(len(before), len(BAD))
        self.again(msgd)
        self.assertEqual(entries(msgd), before)

    def test_it_is_the_same_after_a_kill_once_it_is_on_disk(self):
        msgd = self.start(config())
        before = reject(msgd, BAD)
        wait_until_written(msgd)
        self.again(msgd, signal.SIGKILL)
        self.assertEqual(entries(msgd), before)
        self.assertEqual(n_unwritten(msgd), 0)

    def test_ids_go_on_and_what_was_purged_or_given_again_stays_away(self):
        msgd = self.start({"endpoints": [{"name": "thermo", "port": 0, "max_message_bytes": 100}]})
        msgd.send("thermo", [b"1" * 101])
        msgd.wait_for_ledger("thermo", too_large=1)
        first, second, third = reject(msgd, [b"two", b"three"])
        self.assertEqual(msgd.call("QuarantinePurge", id=second["id"]), {"purged": 1})
        msgd.write_config({"endpoints": [{"name": "thermo", "port": 0}]})
        self.again(msgd)
        self.assertEqual(entries(msgd), [first, third])
        self.assertEqual(msgd.call("QuarantineReplay", id=first["id"]), {"accepted": 1, "refused": 0, "next": None})
        self.assertEqual(msgd.receive("thermo").payloads(1), ["1" * 101])
        msgd.close_connections()
        self.again(msgd)
        self.assertEqual(entries(msgd), [third])
        self.assertEqual(reject(msgd, [b"four"])[-1]["id"], third["id"] + 1)

    def test_what_is_left_of_an_endpoint_that_is_gone_is_still_there(self):
        msgd = self.start()
        msgd.register("thermo", port=0)
        before = reject(msgd, [b"one"])
        msgd.release("thermo")
        self.again(msgd)
        self.assertEqual(entries(msgd), before)
        self.assertEqual(msgd.call("QuarantinePurge", name="thermo"), {"purged": 1})
        msgd.stop()
        self.assertEqual(rows(msgd), [])

    def test_the_bound_holds_for_what_is_loaded(self):
        msgd = self.start(config())
        before = reject(msgd, [b"x" * 1000] * 50)
        msgd.write_config(config(quarantine_bytes=10000))
        self.again(msgd)
        kept = entries(msgd)
        self.assertTrue(0 < len(kept) < 10, len(kept))
        self.assertEqual(kept, before[-len(kept):])
        self.assertEqual(msgd.call("Quarantine")["discarded"], 50 - len(kept))
        msgd.stop()
        self.assertEqual(rows(msgd), [(e["id"],) for e in kept])

    def test_a_flood_leaves_in_the_database_what_is_in_memory(self):
        msgd = self.start(config(quarantine_bytes=100000))
        for _ in range(20):
            msgd.send("thermo", [b"x" * 300] * 100)
            msgd.wait_for_ledger("thermo", datagrams=msgd.sent["thermo"])
        wait_until_written(msgd)
        kept = entries(msgd)
        self.assertGreater(msgd.call("Quarantine")["discarded"], 1000)
        msgd.stop()
        self.assertEqual(rows(msgd), [(e["id"],) for e in kept])


class WithoutRoom(Story):
    def test_it_stays_in_memory_until_the_database_has_room(self):
        msgd = self.start(config(**NO_ROOM))
        before = reject(msgd, BAD)
        self.assertEqual((len(before), n_unwritten(msgd)), (len(BAD), len(BAD)))
        msgd.write_config(config(spool_free_bytes=0))
        msgd.call("Reload")
        wait_until_written(msgd)
        self.assertEqual(entries(msgd), before)
        msgd.kill()
        msgd.sent.clear()
        msgd.launch()
        self.assertEqual(entries(msgd), before)

    def test_a_full_database_lets_entries_go_and_msgd_end(self):
        msgd = self.start(config(spool_free_bytes=0))
        old = reject(msgd, [b"old"])
        wait_until_written(msgd)
        msgd.write_config(config(**NO_ROOM))
        msgd.stop()
        msgd.launch()
        self.assertEqual(entries(msgd), old)
        msgd.sent.clear()
        self.assertEqual(len(reject(msgd, [b"new"])), 2)
        self.assertEqual(msgd.call("QuarantinePurge", id=old[0]["id"]), {"purged": 1})
        msgd.stop()
        self.assertIn("1 datagrams of the quarantine are lost", msgd.program.stderr)
        self.assertEqual(rows(msgd), [])


class Kept(Story):
    """Under somebody who keeps descriptors and starts msgd again at once."""

    def test_kills_at_any_moment_leave_whole_entries_with_ids_of_their_own(self):
        msgd = self.start(config(), kind=KeptDaemon)
        n = 0
        for turn in range(6):
            datagrams = [b"bad %d" % i for i in range(n, n + 100 * (turn + 1))]
            msgd.send("thermo", datagrams)
            n += len(datagrams)
            if turn % 2:
                wait_until_written(msgd)
            msgd.kill()
            msgd.wait_for_ledger("thermo", datagrams=n)
            found = entries(msgd)
            self.assertEqual(len({e["id"] for e in found}), len(found))
            self.assertLessEqual({(e["reason"], e["name"]) for e in found}, {("invalid_json", "thermo")})
            payloads = [e["payload_base64"] for e in found]
            self.assertEqual(len(set(payloads)), len(payloads), "an entry is there twice")

    def test_a_restart_and_an_upgrade_take_it_along_to_the_last_datagram(self):
        msgd = self.start(config(), kind=KeptDaemon)
        n = 0
        for again in (msgd.restart, lambda: msgd.tool("msgctl", "upgrade")) * 2:
            n += msgd.send("thermo", [b"bad"] * 500)
            msgd.wait_for_ledger("thermo", datagrams=n)
            again()
            self.assertEqual(len(entries(msgd)), n)


main()
