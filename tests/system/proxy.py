# SPDX-License-Identifier: MIT
"""The bad network of the other stories is as bad as asked, exactly as bad as it says, and no worse."""

import socket
import time

from msgd_proxy import Proxy
from msgd_test import Story, main, udp_socket, wait_until

N = 2000


class TheProxy(Story):
    def setUp(self):
        super().setUp()
        self.target = udp_socket()
        self.target.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.client = udp_socket()
        self.addCleanup(self.target.close)
        self.addCleanup(self.client.close)

    def proxy(self, **options):
        proxy = Proxy(self.folder, "127.0.0.1:%d" % self.target.getsockname()[1], **options)
        self.addCleanup(proxy.close)
        return proxy

    def drain(self, s, quiet=0.3):
        """What lies in a socket, until nothing has come for a while."""
        s.settimeout(quiet)
        seen = []
        try:
            while True:
                seen.append(s.recvfrom(65536))
        except TimeoutError:
            return seen

    def through(self, proxy, n=N):
        """Sends n numbers to the target, in groups that its socket can hold; returns the numbers that came."""
        seen = []
        for first in range(0, n, 100):
            for i in range(first, first + 100):
                self.client.sendto(str(i).encode(), (proxy.address, proxy.port))
            seen += self.drain(self.target, 0.05)
        seen += self.drain(self.target)
        return [int(data) for data, _ in seen]

    def test_a_good_network_passes_everything_both_ways(self):
        proxy = self.proxy()
        self.assertEqual(self.through(proxy), list(range(N)))
        for size in (0, 1, 65507):
            self.client.sendto(b"x" * size, (proxy.address, proxy.port))
            data, source = self.target.recvfrom(65536)
            self.assertEqual(len(data), size)
            self.target.sendto(data, source)
            self.assertEqual(self.client.recvfrom(65536), (data, (proxy.address, proxy.port)))
        counts = proxy.stop()
        self.assertEqual((counts["to_target"]["out"], counts["to_client"]["out"]), (N + 3, 3))
        self.assertEqual((counts["flows"], counts["failed"], counts["strays"]), (1, 0, 0))

    def test_what_it_counts_as_lost_or_doubled_is(self):
        proxy = self.proxy(loss=20, duplicate=10)
        seen = self.through(proxy)
        counts = proxy.stop()["to_target"]
        self.assertEqual(counts["in"], N)
        self.assertEqual(len(seen), counts["out"])
        self.assertEqual(len(set(seen)), N - counts["lost"])
        self.assertEqual(len(seen) - len(set(seen)), counts["duplicated"])
        self.assertAlmostEqual(counts["lost"] / N, 0.2, delta=0.04)
        self.assertAlmostEqual(counts["duplicated"] / N, 0.08, delta=0.03)

    def test_the_same_seed_meets_the_same_fate(self):
        fates = []
        for seed in (7, 7, 8):
            proxy = self.proxy(loss=30, seed=seed)
            fates.append(self.through(proxy, 400))
            proxy.stop()
        self.assertEqual(fates[0], fates[1])
        self.assertNotEqual(fates[0], fates[2])

    def test_reordering_is_by_as_much_as_asked_and_loses_nothing(self):
        proxy = self.proxy(reorder="10:8")
        seen = self.through(proxy)
        counts = proxy.stop()["to_target"]
        self.assertEqual(sorted(seen), list(range(N)))
        self.assertNotEqual(seen, sorted(seen))
        # Held back by 8 at most; others that were held back may have gone between.
        late = max(sum(other > n for other in seen[:at]) for at, n in enumerate(seen))
        self.assertLessEqual(late, 16)
        self.assertAlmostEqual(counts["reordered"] / N, 0.1, delta=0.04)

    def test_a_delay_is_a_delay_and_keeps_order(self):
        proxy = self.proxy(delay="50")
        begun = time.monotonic()
        for i in range(10):
            self.client.sendto(b"%d" % i, (proxy.address, proxy.port))
        seen = [int(self.target.recvfrom(100)[0]) for _ in range(10)]
        self.assertEqual(seen, list(range(10)))
        self.assertGreaterEqual(time.monotonic() - begun, 0.05)
        proxy.stop()

    def test_a_bottleneck_has_its_rate_and_drops_what_its_queue_does_not_hold(self):
        proxy = self.proxy(rate=100000, queue=20000)
        begun = time.monotonic()
        for _ in range(60):
            self.client.sendto(b"x" * 1000, (proxy.address, proxy.port))
        seen = self.drain(self.target)
        took = time.monotonic() - begun - 0.3
        counts = proxy.stop()["to_target"]
        self.assertEqual(len(seen), counts["out"])
        self.assertEqual(counts["out"] + counts["overflowed"], 60)
        self.assertGreaterEqual(counts["out"], 20)
        self.assertGreaterEqual(took, counts["out"] * 1000 / 100000 - 0.05)

    def test_what_is_longer_than_the_path_takes_vanishes(self):
        proxy = self.proxy(mtu=1500)
        for size in (1472, 1473):
            self.client.sendto(b"x" * size, (proxy.address, proxy.port))
        self.assertEqual([len(data) for data, _ in self.drain(self.target)], [1472])
        self.assertEqual(proxy.stop()["to_target"]["too_large"], 1)

    def test_a_client_is_one_client_at_every_port_and_another_after_a_rebind(self):
        other = udp_socket()
        self.addCleanup(other.close)
        port = other.getsockname()[1]
        proxy = self.proxy(ports=(port, port))
        self.client.sendto(b"1", (proxy.address, proxy.port))
        self.client.sendto(b"2", (proxy.address, port))
        source = self.target.recvfrom(100)[1]
        self.assertEqual(other.recvfrom(100), (b"2", source))
        other.sendto(b"back", source)
        self.assertEqual(self.client.recvfrom(100), (b"back", (proxy.address, port)))
        proxy.rebind()

        def source_is_new():
            self.client.sendto(b"3", (proxy.address, proxy.port))
            return self.target.recvfrom(100)[1] != source
        wait_until(source_is_new, 10, "the client to come from elsewhere")
        self.assertEqual(proxy.stop()["rebound"], 1)

    def test_clients_are_told_apart(self):
        proxy = self.proxy()
        clients = [udp_socket() for _ in range(50)]
        for i, client in enumerate(clients):
            self.addCleanup(client.close)
            client.sendto(b"%d" % i, (proxy.address, proxy.port))
        for _ in clients:
            self.target.sendto(*self.target.recvfrom(100))
        for i, client in enumerate(clients):
            self.assertEqual(client.recvfrom(100)[0], b"%d" % i)
        self.assertEqual(proxy.stop()["flows"], 50)


main()
