# SPDX-License-Identifier: MIT
"""Senders that know nothing of msgd: netcat, socat, bash, Python, a few lines of C; IPv4 and IPv6."""

import subprocess

from msgd_test import Story, build_path, main, run, send_udp

TEXT = '{"temp": 21.5, "unit": "°C"}'


class PlainSenders(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()
        self.v4 = self.msgd.receive("four")
        self.v6 = self.msgd.receive("six", address="::1")

    def expect(self, consumer, text=TEXT, n=1):
        """n messages have come, byte for byte."""
        self.msgd.sent[consumer.name] += n
        self.assertEqual(consumer.payloads(n), [text] * n)

    def test_netcat_reaches_a_consumer_over_both_families(self):
        self.need_program("nc")
        for family, address, consumer in (("-4", "127.0.0.1", self.v4), ("-6", "::1", self.v6)):
            run(["nc", "-u", family, "-w", "1", address, consumer.port], input=TEXT)
            self.expect(consumer)

    def test_netcat_sends_the_line_end_too(self):
        self.need_program("nc")
        run(["nc", "-u", "-w", "1", "127.0.0.1", self.v4.port], input=TEXT + "\n")
        self.expect(self.v4, TEXT + "\n")

    def test_socat_reaches_a_consumer_over_both_families(self):
        self.need_program("socat")
        for target, consumer in (("UDP4-SENDTO:127.0.0.1", self.v4), ("UDP6-SENDTO:[::1]", self.v6)):
            run(["socat", "-u", "-", f"{target}:{consumer.port}"], input=TEXT)
            self.expect(consumer)

    def test_bash_reaches_a_consumer_over_both_families(self):
        self.need_program("bash")
        for address, consumer in (("127.0.0.1", self.v4), ("::1", self.v6)):
            run(["bash", "-c", f"printf %s '{TEXT}' > /dev/udp/{address}/{consumer.port}"])
            self.expect(consumer)

    def test_python_reaches_a_consumer_over_both_families(self):
        for address, consumer in (("127.0.0.1", self.v4), ("::1", self.v6)):
            send_udp(address, consumer.port, [TEXT] * 3)
            self.expect(consumer, n=3)

    def test_a_small_c_program_reaches_a_consumer_over_both_families(self):
        for address, consumer in (("127.0.0.1", self.v4), ("::1", self.v6)):
            subprocess.run([build_path("plain_sender"), address, str(consumer.port), TEXT], check=True, timeout=20)
            self.expect(consumer)

    def test_the_envelope_says_when_from_where_and_to_where(self):
        send_udp("127.0.0.1", self.v4.port, [TEXT], source="127.0.0.9")
        self.msgd.sent["four"] += 1
        message = self.v4.take(1)[0]
        self.assertEqual(message["name"], "four")
        self.assertEqual(message["seq"], 1)
        self.assertIsNone(message.get("id"))
        self.assertRegex(message["from"], r"^127\.0\.0\.9:\d+$")
        self.assertEqual(message["to"], f"127.0.0.1:{self.v4.port}")
        self.assertRegex(message["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
        self.assertIs(message["redelivered"], False)
        self.assertNotIn("payload_base64", {k for k, v in message.items() if v is not None})

    def test_the_envelope_writes_ipv6_in_brackets(self):
        send_udp("::1", self.v6.port, [TEXT])
        self.msgd.sent["six"] += 1
        message = self.v6.take(1)[0]
        self.assertRegex(message["from"], r"^\[::1\]:\d+$")
        self.assertEqual(message["to"], f"[::1]:{self.v6.port}")


main()
