# SPDX-License-Identifier: MIT
"""Two processes want the same name or the same port."""

import os
import signal
import socket

from msgd_test import NOBODY, Story, VarlinkError, free_port, main, numbered, wait_until


class Conflicts(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def holder(self, name="thermo", **options):
        """Another process that holds a name."""
        program = self.msgd.spawn("msgrecv", name, **options)
        program.wait_for_stderr(f"{name} at")
        return program

    def test_reject_says_who_holds_the_name(self):
        holder = self.holder()
        taken = self.fails("NameTaken", self.msgd.connect().call, "Register", name="thermo")
        self.assertEqual((taken["name"], taken["pid"], taken["uid"]), ("thermo", holder.pid, os.geteuid()))
        self.assertRegex(taken["since"], r"^\d{4}-\d\d-\d\dT")
        self.assertTrue(holder.is_running())

    def test_the_tool_says_it_in_one_line_and_exits_73(self):
        holder = self.holder()
        result = self.msgd.tool("msgrecv", "thermo")
        self.assertEqual(result.returncode, 73)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn("thermo", result.stderr)
        self.assertIn(str(holder.pid), result.stderr)

    def test_another_uid_learns_the_uid_and_not_the_pid(self):
        self.need_root()
        holder = self.holder()
        result = self.msgd.tool("msgrecv", "thermo", uid=NOBODY)
        self.assertEqual(result.returncode, 73)
        self.assertNotIn(str(holder.pid), result.stderr)

    def test_a_killed_holder_never_stands_in_the_way(self):
        """A restart must not lose a race against its own former self: no wait between kill and register."""
        for _ in range(20):
            holder = self.holder()
            holder.process.send_signal(signal.SIGKILL)
            holder.process.wait()
            connection, reply = self.msgd.register("thermo")
            self.assertIs(reply["resumed"], True)
            connection.close()

    def test_a_holder_that_hangs_is_alive(self):
        holder = self.holder()
        holder.send_signal(signal.SIGSTOP)
        self.fails("NameTaken", self.msgd.connect().call, "Register", name="thermo")
        holder.send_signal(signal.SIGCONT)
        self.msgd.send("thermo", ["1"])
        holder.wait_for_lines(1)

    def test_replace_ends_a_holder_that_hangs(self):
        holder = self.holder()
        holder.send_signal(signal.SIGSTOP)
        self.msgd.send("thermo", numbered(1, 3))
        self.msgd.wait_for_ledger("thermo", received=3)
        consumer = self.msgd.receive("thermo", on_conflict="replace")
        self.assertEqual(len(consumer.take(3)), 3)
        holder.send_signal(signal.SIGCONT)
        self.assertNotEqual(holder.wait(), 0)

    def test_release_ends_a_holder_that_hangs(self):
        holder = self.holder()
        holder.send_signal(signal.SIGSTOP)
        self.assertEqual(self.msgd.tool("msgctl", "release", "thermo").returncode, 0)
        self.assertIsNone(self.msgd.find("thermo"))
        self.msgd.register("thermo")
        holder.send_signal(signal.SIGCONT)
        self.assertNotEqual(holder.wait(), 0)

    def test_replace_is_refused_where_the_holder_forbade_it(self):
        self.msgd.register("thermo", may_replace=False)
        self.fails("NameTaken", self.msgd.connect().call, "Register", name="thermo", on_conflict="replace")

    def test_queue_waits_for_the_holder_to_end(self):
        holder = self.holder()
        waiting = self.msgd.connect()
        waiting.send("Register", {"name": "thermo", "on_conflict": "queue"})
        wait_until(lambda: self.msgd.endpoint("thermo")["waiting"] == 1, 5, "one to wait")
        port = self.msgd.endpoint("thermo")["port"]
        holder.stop(signal.SIGKILL)
        reply = waiting.receive()
        self.assertEqual((reply["port"], reply["resumed"]), (port, True))
        self.assertEqual(self.msgd.endpoint("thermo")["waiting"], 0)

    def test_those_who_queue_get_their_turn_in_order(self):
        first, _ = self.msgd.register("thermo")
        queue = []
        for n in range(1, 4):
            connection = self.msgd.connect()
            connection.send("Register", {"name": "thermo", "on_conflict": "queue"})
            wait_until(lambda n=n: self.msgd.endpoint("thermo")["waiting"] == n, 5, f"{n} to wait")
            queue.append(connection)
        for generation, connection in enumerate(queue, 2):
            first.close()
            self.assertEqual(connection.receive()["generation"], generation)
            first = connection

    def test_one_who_gives_up_waiting_leaves_the_queue(self):
        self.msgd.register("thermo")
        waiting = self.msgd.connect()
        waiting.send("Register", {"name": "thermo", "on_conflict": "queue"})
        wait_until(lambda: self.msgd.endpoint("thermo")["waiting"] == 1, 5, "one to wait")
        waiting.close()
        wait_until(lambda: self.msgd.endpoint("thermo")["waiting"] == 0, 5, "nobody to wait")

    def test_a_port_of_msgds_own_is_named(self):
        port = self.msgd.register("thermo")[1]["port"]
        taken = self.fails("PortTaken", self.msgd.connect().call, "Register", name="other", port=port)
        self.assertEqual((taken["port"], taken["name"], taken["uid"]), (port, "thermo", os.geteuid()))

    def test_the_wildcard_does_not_take_a_port_that_an_endpoint_has(self):
        port = self.msgd.register("thermo")[1]["port"]
        self.fails("PortTaken", self.msgd.connect().call, "Register", name="other", address="0.0.0.0", port=port)

    def test_a_port_of_another_program_is_named_by_its_uid(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            taken = self.fails("PortTaken", self.msgd.connect().call, "Register", name="thermo", port=port)
            self.assertEqual((taken["address"], taken["port"]), ("127.0.0.1", port))
            self.assertIsNone(taken.get("name"))
            self.assertIn(taken.get("uid"), (os.geteuid(), None))
        self.assertIsNone(self.msgd.find("thermo"))

    def test_nobody_takes_a_port_that_msgd_holds(self):
        port = self.msgd.register("thermo", port=free_port())[1]["port"]
        for option in (None, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                if option:
                    s.setsockopt(socket.SOL_SOCKET, option, 1)
                with self.assertRaises(OSError):
                    s.bind(("127.0.0.1", port))

    def test_a_second_receive_on_an_exclusive_endpoint_is_already_attached(self):
        self.msgd.receive("thermo")
        second = self.msgd.connect()
        with self.assertRaises(VarlinkError) as caught:
            second.stream("Receive", name="thermo").receive()
        self.assertIn(caught.exception.name, ("AlreadyAttached",))
        self.assertEqual(caught.exception.parameters["pid"], os.getpid())


main()
