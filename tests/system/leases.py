# SPDX-License-Identifier: MIT
"""A port outlives its consumer for as long as its lease says, and comes back to whoever had it."""

import time

from msgd_test import NOBODY, Connection, Story, main, numbered, send_udp, udp_socket, wait_until


def is_refused(s):
    """Does the kernel say that nobody is there? The name goes a moment before the socket."""
    try:
        s.send(b"1")
        s.recv(10)
    except ConnectionRefusedError:
        return True
    except TimeoutError:
        return False
    return False


class Leases(Story):
    def test_a_lease_that_ends_closes_the_port_and_counts_what_waited_as_expired(self):
        msgd = self.start()
        consumer, reply = msgd.register("thermo", lease_s=1)
        msgd.send("thermo", numbered(1, 7))
        msgd.wait_for_ledger("thermo", queued=7)
        consumer.close()
        away = msgd.wait_for_state("thermo", "away")
        self.assertIsNotNone(away["away_since"])
        self.assertIn(away["lease_left_s"], (0, 1))
        wait_until(lambda: msgd.find("thermo") is None, 5, "the lease to end")
        with udp_socket() as s:
            s.connect(("127.0.0.1", reply["port"]))
            s.settimeout(0.2)
            wait_until(lambda: is_refused(s), 5, "the port to be closed")

    def test_expired_messages_are_counted_in_the_metrics(self):
        msgd = self.start()
        consumer, _ = msgd.register("thermo", lease_s=0)
        msgd.send("thermo", numbered(1, 3))
        msgd.wait_for_ledger("thermo", queued=3)
        consumer.close()
        wait_until(lambda: msgd.find("thermo") is None, 5, "the endpoint to go with its consumer")

    def test_lease_0_goes_with_the_consumer(self):
        msgd = self.start()
        consumer, _ = msgd.register("thermo", lease_s=0)
        consumer.close()
        wait_until(lambda: msgd.find("thermo") is None, 2, "the endpoint to go with its consumer")

    def test_a_lease_for_ever_shows_as_minus_one(self):
        msgd = self.start()
        consumer, _ = msgd.register("thermo", lease_s=-1)
        consumer.close()
        away = msgd.wait_for_state("thermo", "away")
        self.assertEqual(away["lease_s"], -1)
        self.assertIsNone(away.get("lease_left_s"))

    def test_the_default_lease_is_60_s(self):
        msgd = self.start()
        msgd.register("thermo")
        self.assertEqual(msgd.endpoint("thermo")["lease_s"], 60)

    def test_the_same_uid_gets_port_and_mailbox_back_with_the_next_generation(self):
        msgd = self.start()
        first, was = msgd.register("thermo")
        self.assertIs(was["resumed"], False)
        first.close()
        msgd.wait_for_state("thermo", "away")
        msgd.send("thermo", numbered(1, 4))
        _, now = msgd.register("thermo", lease_s=5, mailbox_bytes=2 << 20)
        self.assertEqual((now["port"], now["generation"], now["resumed"]),
                         (was["port"], was["generation"] + 1, True))
        ledger = msgd.wait_for_ledger("thermo", queued=4)
        self.assertEqual(ledger["received"], 4)
        endpoint = msgd.endpoint("thermo")
        self.assertEqual((endpoint["lease_s"], endpoint["mailbox"]["bytes"]), (5, 2 << 20))

    def test_a_returning_consumer_ends_the_countdown(self):
        msgd = self.start()
        first, _ = msgd.register("thermo", lease_s=1)
        first.close()
        msgd.wait_for_state("thermo", "away")
        msgd.register("thermo", lease_s=1)
        time.sleep(1.5)  # longer than the lease: nothing may happen
        self.assertEqual(msgd.endpoint("thermo")["state"], "held" if not msgd.endpoint("thermo")["consumers"] else "attached")

    def test_another_address_moves_an_empty_endpoint(self):
        msgd = self.start()
        first, was = msgd.register("thermo")
        first.close()
        msgd.wait_for_state("thermo", "away")
        _, now = msgd.register("thermo", address="::1")
        self.assertEqual(now["address"], "::1")
        self.assertEqual(now["generation"], was["generation"] + 1)
        send_udp("::1", now["port"], ["1"])
        msgd.wait_for_ledger("thermo", queued=1)

    def test_another_address_does_not_move_an_endpoint_with_messages(self):
        msgd = self.start()
        first, _ = msgd.register("thermo")
        msgd.send("thermo", ["1"])
        msgd.wait_for_ledger("thermo", queued=1)
        first.close()
        msgd.wait_for_state("thermo", "away")
        self.fails("NameTaken", msgd.connect().call, "Register", name="thermo", address="::1")
        self.assertEqual(msgd.ledger("thermo")["queued"], 1)

    def test_another_uid_does_not_get_a_name_that_is_away(self):
        self.need_root()
        msgd = self.start()
        first, _ = msgd.register("thermo")
        first.close()
        msgd.wait_for_state("thermo", "away")
        result = msgd.tool("msgrecv", "thermo", "--timeout", "1", uid=NOBODY)
        self.assertIn(result.returncode, (73, 77), result.stderr)

    def test_a_release_of_something_that_is_away_ends_it_with_the_final_ledger(self):
        msgd = self.start()
        first, _ = msgd.register("thermo")
        msgd.send("thermo", numbered(1, 9))
        msgd.wait_for_ledger("thermo", queued=9)
        first.close()
        msgd.wait_for_state("thermo", "away")
        final = msgd.release("thermo")
        self.assertEqual((final["received"], final["dropped"]["released"], final["queued"]), (9, 9, 0))
        self.assertIsNone(msgd.find("thermo"))

    def test_the_name_is_free_again_after_its_release(self):
        msgd = self.start()
        msgd.register("thermo")
        msgd.release("thermo")
        with Connection(msgd.socket) as c:
            self.assertIs(c.call("Register", name="thermo")["resumed"], False)


main()
