# SPDX-License-Identifier: MIT
"""Datagrams that are no messages: never delivered, counted under their reason, kept as evidence, and the loop goes on."""

import base64
import os
import signal

from msgd_test import Story, main, send_udp, udp_socket

NESTED = b"[" * 128 + b"]" * 128

# What comes, what becomes of it. None: it is delivered as it is.
TABLE = [
    ("no byte at all", b"", "invalid_json"),
    ("not JSON", b"hello", "invalid_json"),
    ("an unfinished object", b'{"a": 1', "invalid_json"),
    ("two texts", b'{"a": 1}{"b": 2}', "invalid_json"),
    ("two texts on two lines", b"1\n2", "invalid_json"),
    ("trailing bytes", b"[1] x", "invalid_json"),
    ("a NUL at the end", b"1\0", "invalid_json"),
    ("bad UTF-8", b'"\xff"', "invalid_json"),
    ("an overlong form", b'"\xc0\xaf"', "invalid_json"),
    ("a surrogate in UTF-8", b'"\xed\xa0\x80"', "invalid_json"),
    ("beyond U+10FFFF", b'"\xf4\x90\x80\x80"', "invalid_json"),
    ("a byte order mark", b"\xef\xbb\xbf1", "invalid_json"),
    ("a control byte in a string", b'"a\nb"', "invalid_json"),
    ("white space alone", b"  \n", "invalid_json"),
    ("a leading zero", b"01", "invalid_json"),
    ("a plus sign", b"+1", "invalid_json"),
    ("NaN", b"NaN", "invalid_json"),
    ("a comment", b"[1] // one", "invalid_json"),
    ("a trailing comma", b"[1,]", "invalid_json"),
    ("single quotes", b"{'a': 1}", "invalid_json"),
    ("nesting past the limit", b"[" + NESTED + b"]", "invalid_json"),
    ("framed, of a type to come", b'\x1e{"type":"hologram"}\n1', "unsupported"),
    ("RS alone", b"\x1e", "malformed_frame"),
    ("signed", b"eyJhbGciOiJIUzI1NiJ9.e30.x", "unsupported"),
    ("longer than the limit", b'"' + b"x" * 999 + b'"', "too_large"),
    ("longer than the limit and no JSON", b"x" * 1001, "too_large"),
    ("the longest that fits", b'"' + b"x" * 998 + b'"', None),
    ("nesting to the limit", NESTED, None),
    ("white space around", b" \t\r\n{} \n", None),
    ("duplicate keys", b'{"a":1,"a":2}', None),
    ("a number out of every range", b"1e999", None),
    ("an escaped NUL", b'"\\u0000"', None),
    ("a lone surrogate, escaped", b'"\\ud800"', None),
    ("a literal", b"null", None),
]


class BadInput(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def test_each_row_of_the_table_gets_what_it_should(self):
        consumer = self.msgd.receive("thermo", max_message_bytes=1000)
        wanted = {}
        for what, datagram, reason in TABLE:
            with self.subTest(what):
                self.msgd.send("thermo", [datagram])
                if reason:
                    wanted[reason] = wanted.get(reason, 0) + 1
                    self.msgd.wait_for_ledger("thermo", **wanted)
                else:
                    self.assertEqual(consumer.payloads(1)[0].encode(), datagram)
        ledger = self.msgd.ledger("thermo")
        good = sum(reason is None for _, _, reason in TABLE)
        self.assertEqual((ledger["received"], ledger["delivered"]), (len(TABLE), good))

    def test_those_of_one_length_that_are_read_at_once_are_judged_each_by_itself(self):
        """Short texts of one length are validated side by side; which of them are wrong is another matter each time."""
        consumer = self.msgd.receive("thermo")
        for n in (2, 40, 64, 100, 128, 256, 300):
            with self.subTest(f"{n} bytes"):
                good = b"[" + b" " * (n - 2) + b"]"
                bad = [b"[" + b"]" * (n - 1), b"{" + b" " * (n - 2) + b"]", b"x" * n, b"\x1e" + b" " * (n - 1)]
                datagrams = [bad[i // 7 % len(bad)] if i * i % 7 == 2 else good for i in range(60)]
                before = self.msgd.ledger("thermo")["received"]
                os.kill(self.msgd.pid, signal.SIGSTOP)
                send_udp("127.0.0.1", consumer.port, datagrams)
                os.kill(self.msgd.pid, signal.SIGCONT)
                self.msgd.sent["thermo"] += len(datagrams)
                self.msgd.wait_for_ledger("thermo", received=before + len(datagrams))
                n_good = datagrams.count(good)
                self.assertEqual(consumer.payloads(n_good), [good.decode()] * n_good)
                entries = self.msgd.call("Quarantine", name="thermo", payload=True)["entries"][n_good - len(datagrams):]
                self.assertEqual([base64.b64decode(e["payload_base64"]) for e in entries], [d for d in datagrams if d != good])

    def test_what_was_refused_is_kept_as_evidence(self):
        port = self.msgd.receive("thermo", max_message_bytes=1000).port
        bad = [(d, r) for _, d, r in TABLE if r]
        with udp_socket() as sender:
            source = "127.0.0.1:%d" % sender.getsockname()[1]
            for datagram, _ in bad:
                sender.sendto(datagram, ("127.0.0.1", port))
        self.msgd.sent["thermo"] += len(bad)
        self.msgd.wait_for_ledger("thermo", datagrams=len(bad))
        entries = self.msgd.call("Quarantine", name="thermo", payload=True)["entries"]
        self.assertEqual([(base64.b64decode(e["payload_base64"]), e["reason"]) for e in entries], bad)
        self.assertEqual({e["from"] for e in entries}, {source})
        self.assertEqual({e["to"] for e in entries}, {f"127.0.0.1:{port}"})
        self.assertEqual([e["bytes"] for e in entries], [len(d) for d, _ in bad])

    def test_the_loop_goes_on_after_a_flood_of_bad_datagrams(self):
        consumer = self.msgd.receive("thermo")
        for _ in range(20):
            self.msgd.send("thermo", [os.urandom(100) for _ in range(100)] + [b"", b"1"])
            self.assertEqual(consumer.payloads(1), ["1"])

    def test_a_raw_endpoint_takes_any_bytes_and_none(self):
        consumer = self.msgd.receive("raw", format="raw", max_message_bytes=1000)
        rows = [d for _, d, reason in TABLE if reason != "too_large"]
        for datagram in rows:
            self.msgd.send("raw", [datagram])
            message = consumer.take(1)[0]
            if message.get("payload") is not None:
                self.assertEqual(message["payload"].encode(), datagram)
            else:
                self.assertEqual(base64.b64decode(message["payload_base64"]), datagram)
        self.msgd.send("raw", [b"x" * 1001])
        self.msgd.wait_for_ledger("raw", too_large=1, delivered=len(rows))

    def test_a_datagram_of_65507_bytes_arrives_whole(self):
        consumer = self.msgd.receive("thermo")
        text = b'"' + b"x" * 65505 + b'"'
        self.msgd.send("thermo", [text])
        self.assertEqual(consumer.payloads(1)[0].encode(), text)

    def test_a_raw_datagram_of_65507_bytes_arrives_whole(self):
        consumer = self.msgd.receive("raw", format="raw", receive_buffer_bytes=1 << 20)
        data = os.urandom(65507)
        self.msgd.send("raw", [data])
        self.assertEqual(base64.b64decode(consumer.take(1)[0]["payload_base64"]), data)

    def test_the_longest_ipv6_datagram_arrives_whole(self):
        consumer = self.msgd.receive("six", address="::1", max_message_bytes=65535)
        text = b'"' + b"x" * 65505 + b'"'
        self.msgd.send("six", [text])
        self.assertEqual(consumer.payloads(1)[0].encode(), text)

    def test_a_source_outside_the_allowed_networks_is_only_counted(self):
        consumer = self.msgd.receive("thermo", allow=["127.0.0.16/28", "10.0.0.0/8", "::1"])
        for source, is_allowed in (("127.0.0.15", False), ("127.0.0.16", True), ("127.0.0.31", True), ("127.0.0.32", False)):
            self.msgd.sent["thermo"] += send_udp("127.0.0.1", consumer.port, [f'"{source}"'], source=source)
            if is_allowed:
                self.assertEqual(consumer.payloads(1), [f'"{source}"'])
        self.msgd.wait_for_ledger("thermo", not_allowed=2, delivered=2)
        self.assertEqual(self.msgd.call("Quarantine", name="thermo")["entries"], [])

    def test_not_allowed_comes_before_every_other_reason(self):
        port = self.msgd.receive("thermo", allow=["10.0.0.0/8"], max_message_bytes=10).port
        self.msgd.sent["thermo"] += send_udp("127.0.0.1", port, [b"", b"x" * 100, b"\x1e"])
        self.msgd.wait_for_ledger("thermo", not_allowed=3, received=3)

    def test_an_allowed_ipv4_network_is_no_ipv6_network(self):
        port = self.msgd.receive("six", address="::1", allow=["127.0.0.0/8", "0.0.0.0/0"]).port
        self.msgd.sent["six"] += send_udp("::1", port, ["1"])
        self.msgd.wait_for_ledger("six", not_allowed=1)


main()
