# SPDX-License-Identifier: MIT
"""Addresses and ports: both families, wildcards, addresses that are not there yet, and answers from the address asked."""

import socket

from msgd_test import NOBODY, Story, free_port, main, send_udp, udp_socket

INVALID = "org.varlink.service.InvalidParameter"


class Addresses(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def refused(self, **parameters):
        """The name of the error, and of the parameter that it is about."""
        try:
            self.msgd.connect().call("Register", name="thermo", **parameters)
        except Exception as error:  # whatever it is, the caller compares it
            return getattr(error, "name", repr(error)), getattr(error, "parameters", {}).get("parameter")
        return "nothing", None

    def test_loopback_is_the_default_and_the_port_comes_from_the_range(self):
        _, reply = self.msgd.register("thermo")
        self.assertEqual(reply["address"], "127.0.0.1")
        self.assertTrue(10000 <= reply["port"] <= 24999, reply)

    def test_a_port_range_that_ends_at_65535_is_used_to_its_end_and_again(self):
        msgd = self.start({"port_range": [65533, 65535]})
        for _ in range(2):
            names = [f"n{i}" for i in range(3)]
            ports = {msgd.register(name)[1]["port"] for name in names}
            self.assertEqual(ports, {65533, 65534, 65535})
            self.fails("TryAgain", msgd.connect().call, "Register", name="one-too-many")
            for name in names:
                msgd.release(name)

    def test_a_star_is_both_families_and_one_ledger(self):
        consumer = self.msgd.receive("both", address="*")
        self.msgd.sent["both"] += send_udp("127.0.0.1", consumer.port, ["4"]) + send_udp("::1", consumer.port, ["6"])
        messages = sorted(consumer.take(2), key=lambda m: m["payload"])
        self.assertEqual([m["to"] for m in messages], [f"127.0.0.1:{consumer.port}", f"[::1]:{consumer.port}"])
        self.assertRegex(messages[0]["from"], r"^127\.0\.0\.1:\d+$")
        self.msgd.wait_for_ledger("both", received=2, delivered=2)
        self.assertEqual(self.msgd.endpoint("both")["address"], "*")

    def test_a_wildcard_of_one_family_is_not_the_other(self):
        port = self.msgd.receive("six", address="::").port
        with udp_socket() as s:
            s.connect(("127.0.0.1", port))
            s.send(b"1")
            with self.assertRaises(ConnectionRefusedError):
                s.recv(10)

    def test_answers_of_a_wildcard_endpoint_leave_from_the_address_asked(self):
        for address in ("0.0.0.0", "*"):
            with self.subTest(address), udp_socket("127.0.0.5") as s:
                name = "any" if address == "*" else "v4"
                consumer = self.msgd.receive(name, address=address, ack="manual")
                s.sendto(b'"ping"', ("127.0.0.2", consumer.port))
                self.msgd.sent[name] += 1
                message = consumer.take(1)[0]
                self.assertEqual(message["to"], f"127.0.0.2:{consumer.port}")
                consumer.reply(message, '"pong"')
                self.assertEqual(s.recvfrom(100), (b'"pong"', ("127.0.0.2", consumer.port)))

    def test_a_mapped_ipv4_address_is_the_ipv4_address(self):
        _, reply = self.msgd.register("thermo", address="::ffff:127.0.0.1")
        self.assertEqual(reply["address"], "127.0.0.1")

    def test_a_mapped_address_takes_the_same_port_as_the_ipv4_address(self):
        port = self.msgd.register("other")[1]["port"]
        self.assertEqual(self.refused(address="::ffff:127.0.0.1", port=port)[0], "PortTaken")

    def test_the_same_port_of_two_addresses_are_two_endpoints(self):
        port = free_port()
        first = self.msgd.receive("one", address="127.0.0.1", port=port)
        second = self.msgd.receive("two", address="127.0.0.2", port=port)
        self.msgd.sent["one"] += send_udp("127.0.0.1", port, ["1"])
        self.msgd.sent["two"] += send_udp("127.0.0.2", port, ["2"])
        self.assertEqual((first.payloads(1), second.payloads(1)), (["1"], ["2"]))

    def test_an_address_that_is_not_there_yet_is_bound_already(self):
        _, reply = self.msgd.register("later", address="192.0.2.55")
        self.assertEqual(reply["address"], "192.0.2.55")
        self.assertEqual(self.msgd.endpoint("later")["state"] in ("held", "attached"), True)

    def test_bad_addresses_ports_and_names_are_named(self):
        for address in ("300.0.0.1", "example.org", "fe80::1%nosuchinterface", ""):
            self.assertIn(self.refused(address=address)[0], ("BadAddress", INVALID), address)
        self.assertEqual(self.refused(port=65536), (INVALID, "port"))
        self.assertEqual(self.refused(port=-1), (INVALID, "port"))
        self.assertEqual(self.refused(port="7000"), (INVALID, "port"))
        self.assertEqual(self.refused(allow=["10.0.0.1/8"]), (INVALID, "allow"))
        for name in ("", "Thermo", "-x", "a b", "x" * 64, "ü", "a/b"):
            self.fails(INVALID, self.msgd.connect().call, "Register", name=name)

    def test_names_of_one_and_of_63_characters_are_taken(self):
        for name in ("a", "9", "x" * 63, "a.b_c-d"):
            self.msgd.register(name)
            self.assertEqual(self.msgd.endpoint(name)["name"], name)

    def test_more_shards_than_workers_are_refused_by_their_field(self):
        self.assertEqual(self.refused(shards=2), (INVALID, "shards"))
        self.msgd.register("thermo", durable=False, shards=1, sessions="off")

    def test_resolve_finds_an_endpoint_for_any_user(self):
        _, reply = self.msgd.register("thermo")
        found = self.msgd.call("Resolve", name="thermo")
        self.assertEqual((found["address"], found["port"], found["generation"]), ("127.0.0.1", reply["port"], 1))
        self.fails("NoSuchEndpoint", self.msgd.call, "Resolve", name="nobody")

    def test_a_send_leaves_from_the_endpoints_own_address_and_port(self):
        consumer = self.msgd.receive("thermo", address="127.0.0.3")
        with udp_socket() as s:
            self.msgd.call("Send", name="thermo", to="127.0.0.1:%d" % s.getsockname()[1], payload='"hello"')
            self.assertEqual(s.recvfrom(100), (b'"hello"', ("127.0.0.3", consumer.port)))

    def test_a_port_below_1024_is_bound_where_that_is_allowed(self):
        self.need_root()
        port = next(p for p in range(1023, 600, -1) if self._is_free(p))
        consumer = self.msgd.receive("low", port=port)
        self.msgd.sent["low"] += send_udp("127.0.0.1", port, ["1"])
        self.assertEqual(consumer.payloads(1), ["1"])

    def test_a_port_below_1024_is_refused_to_any_user(self):
        self.need_root()
        result = self.msgd.tool("msgrecv", "low", "--port", "1023", uid=NOBODY)
        self.assertEqual(result.returncode, 77, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def _is_free(self, port):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True


main()
