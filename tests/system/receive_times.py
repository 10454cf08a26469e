# SPDX-License-Identifier: MIT
"""When messages came: as the kernel tells it with each, and where it tells it of the last of each read only."""

import ctypes
import datetime
import errno
import json
import os
import pathlib
import re
import signal
import socket
import time

from msgd_test import IS_INSTRUMENTED, Story, build_path, main, send_udp, wait_until

MANY = 5000 if IS_INSTRUMENTED else 20000
SO_TIMESTAMPNS = 35
PIDFD_GETFD = 438


def ns(text):
    """Of an envelope's time."""
    whole = datetime.datetime.fromisoformat(text[:19] + "+00:00")
    return int(whole.timestamp()) * 10**9 + int(text[20:29])


def descriptor_at(pid, port):
    """The number that a UDP socket has in that process."""
    lines = [line.split() for line in pathlib.Path("/proc/net/udp").read_text().splitlines()[1:]]
    inode = next(f[9] for f in lines if f[1].endswith(f":{port:04X}"))
    folder = pathlib.Path(f"/proc/{pid}/fd")
    return next(int(f.name) for f in folder.iterdir() if os.readlink(f) == f"socket:[{inode}]")


class ReceiveTimes(Story):
    def setUp(self):
        super().setUp()
        self.msgd = self.start()

    def socket_of(self, port):
        """The daemon's own, by a descriptor of this process."""
        pidfd = os.pidfd_open(self.msgd.pid)
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.syscall(PIDFD_GETFD, pidfd, descriptor_at(self.msgd.pid, port), 0)
        os.close(pidfd)
        if descriptor < 0 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
            self.skipTest("this user cannot reach the daemon's socket")
        self.assertGreaterEqual(descriptor, 0)
        found = socket.socket(fileno=descriptor)
        self.addCleanup(found.close)
        return found

    def expect_own_times(self, consumer, n):
        for i in range(n):
            before = time.time_ns()
            self.msgd.send(consumer.name, [str(i)])
            message = consumer.take(1)[0]
            self.assertTrue(before <= ns(message["time"]) <= time.time_ns(), message)

    def send_at_once(self, consumer, n):
        """Numbers that are read at once: when the last one was sent, and the messages."""
        os.kill(self.msgd.pid, signal.SIGSTOP)
        send_udp("127.0.0.1", consumer.port, [str(i) for i in range(n - 1)])
        last = time.time_ns()
        send_udp("127.0.0.1", consumer.port, [str(n - 1)])
        os.kill(self.msgd.pid, signal.SIGCONT)
        self.msgd.sent[consumer.name] += n
        return last, consumer.take(n)

    def test_one_by_one_each_has_its_own(self):
        self.expect_own_times(self.msgd.receive("thermo"), 20)

    def test_where_the_last_of_a_read_is_told_the_others_come_before_it_and_each_is_told_again_then(self):
        """So may a predecessor have left the socket."""
        for address in ("127.0.0.1", "0.0.0.0"):
            with self.subTest(address):
                consumer = self.msgd.receive("at-" + address, address=address)
                before = time.time_ns()
                self.expect_own_times(consumer, 1)
                taken = self.socket_of(consumer.port)
                taken.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 0)
                last, messages = self.send_at_once(consumer, 50)
                times = [ns(m["time"]) for m in messages]
                self.assertEqual([m["payload"] for m in messages], [str(i) for i in range(50)])
                self.assertEqual({m["to"] for m in messages}, {f"127.0.0.1:{consumer.port}"})
                self.assertEqual(times, sorted(times))
                self.assertTrue(before < times[0] < times[-1] and last <= times[-1] <= time.time_ns(), (before, times[0], last, times[-1]))
                wait_until(lambda taken=taken: taken.getsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS), 10, "times to be asked for again")
                self.expect_own_times(consumer, 5)

    def test_of_many_that_gather_all_are_in_order_and_of_their_time(self):
        connection, endpoint = self.msgd.register("steady", mailbox_bytes=64 << 20)
        connection.close()
        self.msgd.wait_for_state("steady", "away")
        before = time.time_ns()
        program = self.program([build_path("flood"), "127.0.0.1", endpoint["port"], "--count", MANY])
        self.assertEqual(program.wait(120), 0, program.stderr)
        after = time.time_ns()
        self.msgd.sent["steady"] += json.loads(program.stdout)["sent"]
        self.msgd.check_sent("steady")
        coalesced = int(re.search(r"^msgd_reads_coalesced_total (\d+)$", self.msgd.call("Metrics")["text"], re.M)[1])
        self.report("reads coalesced", coalesced)
        consumer = self.msgd.receive("steady")
        times = [ns(m["time"]) for m in consumer.take(self.msgd.ledger("steady")["received"], 60)]
        self.assertEqual(times, sorted(times))
        self.assertTrue(before <= times[0] and times[-1] <= after + 10**9, (before, times[0], times[-1], after))


main()
