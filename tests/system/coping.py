# SPDX-License-Identifier: MIT
"""Consumers that cannot cope: messages that come back too often or grow too old, consumers that release nothing."""

import json

from msgd_test import Story, VarlinkError, free_port, main, numbered, wait_until


class Coping(Story):
    def entries(self, msgd):
        return msgd.call("Quarantine", name="thermo", payload=True)["entries"]

    def consumer_of(self, msgd):
        return msgd.endpoint("thermo")["consumers"][0]

    def test_a_message_that_no_consumer_survives_is_set_aside_and_can_be_given_again(self):
        msgd = self.start()
        for attempt in range(1, 4):
            consumer = msgd.receive("thermo", ack="manual", max_deliver=3, window=1)
            if attempt == 1:
                msgd.send("thermo", [b'"poison"', b'"good"'])
            message = consumer.take(1)[0]
            self.assertEqual((message["payload"], message["deliveries"]), ('"poison"', attempt))
            consumer.close()
            msgd.wait_for_state("thermo", "away")
        msgd.wait_for_ledger("thermo", max_deliver=1, queued=1)
        wait_until(lambda: len(self.entries(msgd)) == 1, 10, "the message to be in quarantine")
        self.assertEqual(self.entries(msgd)[0]["reason"], "max_deliver")
        self.assertEqual(self.entries(msgd)[0]["payload_base64"], "InBvaXNvbiI=")
        consumer = msgd.receive("thermo")
        self.assertEqual(consumer.take(1)[0]["payload"], '"good"')
        self.assertEqual(msgd.call("QuarantineReplay", name="thermo"), {"accepted": 1, "refused": 0, "next": None})
        again = consumer.take(1)[0]
        self.assertEqual((again["payload"], again["deliveries"]), ('"poison"', 1))
        msgd.wait_for_ledger("thermo", received=3, delivered=2, max_deliver=1)
        shown = msgd.tool("msgls", "thermo").stdout
        self.assertIn("msgctl quarantine list thermo", shown)

    def test_more_than_the_way_to_the_quarantine_holds_is_set_aside_without_loss(self):
        msgd = self.start()
        consumer = msgd.receive("thermo", ack="manual", window=300, max_deliver=1, mailbox_bytes=16000000)
        for i in range(20):
            msgd.send("thermo", numbered(10 * i + 1, 10, 20000))
            consumer.take(10)
        consumer.close()
        ledger = msgd.wait_for_ledger("thermo", queued=0, max_deliver=200)
        self.assertEqual(ledger["delivered"], 0)
        wait_until(lambda: len(self.entries(msgd)) == 200, 20, "all of them to be in quarantine")

    def test_what_nobody_has_taken_in_time_is_dropped(self):
        msgd = self.start()
        consumer = msgd.receive("thermo", ack="manual", window=2, ttl_s=1)
        msgd.send("thermo", numbered(1, 5))
        taken = consumer.take(2)
        ledger = msgd.wait_for_ledger("thermo", expired=3)
        self.assertEqual(ledger["queued"], 2)
        consumer.ack(taken[1])
        msgd.wait_for_ledger("thermo", delivered=2)
        consumer.close()
        msgd.wait_for_state("thermo", "away")
        msgd.send("thermo", numbered(6, 4))
        msgd.wait_for_ledger("thermo", expired=7, queued=0)

    def test_an_attached_consumer_keeps_what_it_has_taken_however_old(self):
        msgd = self.start({"endpoints": [{"name": "thermo", "port": free_port(), "ttl_s": 1}]})
        consumer = msgd.spawn("drain", "thermo", "--attach", "--stop-after", "2", "--hold")
        consumer.wait_for_stderr("attached")
        msgd.send("thermo", numbered(1, 2))
        consumer.wait_for_lines(1)
        msgd.send("thermo", numbered(3, 4))
        self.assertEqual(msgd.wait_for_ledger("thermo", expired=4)["queued"], 2)

    def test_a_stalled_consumer_is_shown_until_it_goes_on(self):
        msgd = self.start()
        consumer = msgd.receive("thermo", ack="manual", stall_s=1)
        self.assertIs(self.consumer_of(msgd)["stalled"], False)
        msgd.send("thermo", numbered(1, 2))
        taken = consumer.take(2)
        wait_until(lambda: self.consumer_of(msgd)["stalled"], 10, "it to be found out")
        self.assertEqual(msgd.endpoint("thermo")["state"], "attached")
        self.assertIn("stalled", msgd.tool("msgls", "thermo").stdout)
        self.assertIn("stalled", msgd.tool("msgls").stdout)
        self.assertIn('msgd_consumers_stalled{name="thermo"', msgd.call("Metrics")["text"])
        self.assertRegex(msgd.call("Metrics")["text"], r'msgd_consumers_stalled\{name="thermo"[^}]*\} 1\n')
        consumer.ack(taken[0])
        wait_until(lambda: not self.consumer_of(msgd)["stalled"], 10, "it to be found out")

    def test_a_stalled_receive_is_treated_as_away_where_that_is_wished_for(self):
        msgd = self.start()
        stuck = msgd.receive("thermo", ack="manual", mode="share", stall_s=1, on_stall="away")
        msgd.send("thermo", [b"1"])
        stuck.take(1)
        with self.assertRaises(VarlinkError) as told:
            stuck.take(1)
        self.assertEqual(told.exception.name, "TryAgain")
        self.assertIn("stalled", told.exception.parameters["reason"])
        msgd.wait_for_state("thermo", "away")
        message = msgd.receive("thermo").take(1)[0]
        self.assertEqual((message["payload"], message["redelivered"], message["deliveries"]), ("1", True, 2))

    def test_what_a_stalled_consumer_holds_goes_to_the_others(self):
        msgd = self.start({"endpoints": [{"name": "thermo", "port": free_port(), "mode": "share", "stall_s": 1,
                                          "on_stall": "away"}]})
        stuck = msgd.spawn("drain", "thermo", "--attach", "--stop-after", "10", "--hold")
        stuck.wait_for_stderr("attached")
        msgd.send("thermo", numbered(1, 10))
        stuck.wait_for_lines(1)
        good = msgd.receive("thermo")
        self.assertEqual([json.loads(m["payload"])["n"] for m in good.take(10)], list(range(1, 11)))
        self.assertEqual(len(msgd.endpoint("thermo")["consumers"]), 1)
        self.assertIn("stalled", msgd.program.stderr)


main()
