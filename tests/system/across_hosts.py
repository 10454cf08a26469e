# SPDX-License-Identifier: MIT
"""Two hosts and a bad network between them: what is acknowledged has come, once; what is answered was asked."""

import subprocess

from msgd_frame import Sender
from msgd_hosts import CLIENT, OTHER, SERVER, make_hosts
from msgd_proxy import Proxy
from msgd_test import LONG, Story, build_path, main, numbered, udp_socket, wait_until

HOSTS = make_hosts()
SESSION_PORTS = 25000, 25099
N = 20000 if LONG else 2000


class AcrossHosts(Story):
    """msgd on this host, clients on the other."""

    def setUp(self):
        super().setUp()
        if HOSTS is None:
            self.skipTest("needs root, ip(8) and nft(8), for two network namespaces")
        self.addCleanup(HOSTS.lose, 0)
        self.msgd = self.start({"session_port_range": list(SESSION_PORTS)})

    def client(self, address=CLIENT):
        with HOSTS.elsewhere():
            s = udp_socket(address)
        self.addCleanup(s.close)
        return s

    def proxy(self, port, **impairments):
        """A proxy on the other host, in front of a port of this one."""
        with HOSTS.elsewhere():
            proxy = Proxy(self.folder, f"{SERVER}:{port}", **impairments, **{"from": CLIENT})
        self.addCleanup(proxy.close)
        return proxy

    def sent_are(self, name, n):
        """n datagrams of this name have reached this host: the law counts them at the end."""
        self.msgd.sent[name] += n


class AcknowledgedSends(AcrossHosts):
    def send_all(self, to, name, consumer, **options):
        """Sends N messages, each once acknowledged and once received. Returns the sender."""
        sender = Sender(self.client(), to)
        texts = list(numbered(1, N))
        sender.send_all(texts, **options)
        self.assertEqual(set(sender.outcomes.values()), {"stored"})
        self.assertEqual(len(sender.outcomes), N)
        came = consumer.payloads(N)
        self.assertEqual(sorted(came), sorted(t.decode() for t in texts))
        self.msgd.wait_for_ledger(name, delivered=N, queued=0)
        return sender

    def test_on_a_good_network_each_is_sent_once(self):
        consumer = self.msgd.receive("thermo", address=SERVER)
        sender = self.send_all((SERVER, consumer.port), "thermo", consumer)
        self.sent_are("thermo", sender.n_datagrams)
        self.assertLessEqual(sender.longest_answer, 128)

    def test_with_a_fifth_lost_both_ways_each_comes_once(self):
        consumer = self.msgd.receive("thermo", address=SERVER)
        HOSTS.lose(20)
        sender = self.send_all((SERVER, consumer.port), "thermo", consumer)
        self.assertGreater(sender.n_datagrams, N)
        # Every datagram that left the other host was lost where it was counted, or is in the ledger.
        self.sent_are("thermo", sender.n_datagrams - HOSTS.n_lost())
        self.report("datagrams for each message", round(sender.n_datagrams / N, 2))

    def test_doubled_and_out_of_order_each_comes_once(self):
        consumer = self.msgd.receive("thermo", address=SERVER)
        proxy = self.proxy(consumer.port, loss=10, duplicate=10, reorder="20:64")
        self.send_all((proxy.address, proxy.port), "thermo", consumer)
        counts = proxy.stop()
        self.sent_are("thermo", counts["to_target"]["out"])
        self.assertEqual(counts["kernel_dropped"], 0)

    def test_a_message_that_was_stored_is_one_message_from_any_address(self):
        consumer = self.msgd.receive("thermo", address=SERVER)
        sender = Sender(self.client(), (SERVER, consumer.port))
        sender.send_all([b'"once"'])
        sender.socket = self.client(OTHER)
        sender.answers.clear()
        sender.send(1, b'"once"')
        wait_until(lambda: (sender.run(0.05), sender.answers)[1], 10, "the answer at the other address")
        self.assertEqual((sender.answers[0]["type"], sender.answers[0]["ack"]), ("ack", "stored"))
        sender.send_all([b'"twice"'])
        self.assertEqual(consumer.payloads(2), ['"once"', '"twice"'])
        self.sent_are("thermo", sender.n_datagrams)
        self.assertEqual(self.msgd.ledger("thermo")["dropped"]["duplicate"], 1)

    def test_released_is_said_when_the_consumer_has_released(self):
        consumer = self.msgd.receive("thermo", address=SERVER, ack="manual")
        HOSTS.lose(20)
        sender = Sender(self.client(), (SERVER, consumer.port), wish="released")
        for text in numbered(1, 100):
            sender.put(text)
        messages = []
        wait_until(lambda: (sender.run(0.02), self.msgd.ledger("thermo")["queued"])[1] == 100, 30, "all to be there")
        messages = consumer.take(100)
        self.assertEqual(sender.outcomes, {})
        consumer.ack(messages[-1])
        wait_until(lambda: (sender.run(0.02), len(sender.outcomes))[1] == 100, 30, "all to be answered")
        self.assertEqual(set(sender.outcomes.values()), {"released"})
        self.sent_are("thermo", sender.n_datagrams - HOSTS.n_lost())

    def test_who_may_not_is_told(self):
        consumer = self.msgd.receive("thermo", address=SERVER, allow=["192.0.2.0/24"])
        HOSTS.lose(20)
        sender = Sender(self.client(), (SERVER, consumer.port))
        sender.send_all([b"1"])
        self.assertEqual(sender.outcomes, {1: "not_allowed"})
        self.sent_are("thermo", sender.n_datagrams - HOSTS.n_lost())


class Requests(AcrossHosts):
    def test_each_request_has_its_answer_and_is_done_once(self):
        n = N // 10
        consumer = self.msgd.receive("adder", address=SERVER, ack="manual")
        HOSTS.lose(20)
        sender = Sender(self.client(), (SERVER, consumer.port), kind="request")
        done = []
        for number in range(1, n + 1):
            sender.put(b"%d" % number)
            if number % 50 == 0 or number == n:
                sent = number
                while len(done) < sent:
                    sender.run(0)
                    self.answer_one(consumer, done)
        wait_until(lambda: (sender.run(0.02), len(sender.outcomes))[1] == n, 60, "every answer")
        self.assertEqual(sorted(done), list(range(1, n + 1)))
        self.assertEqual(sender.replies, {i: b"%d" % (1000 + i) for i in range(1, n + 1)})
        self.sent_are("adder", sender.n_datagrams - HOSTS.n_lost())

    def answer_one(self, consumer, done):
        """Takes the next request, if one has come, answers and releases it."""
        try:
            message = consumer.connection.receive(0.05)
        except TimeoutError:
            return
        self.assertEqual(message["type"], "request")
        done.append(int(message["payload"]))
        consumer.reply(message, str(1000 + int(message["payload"])))
        consumer.ack(message)


class Sessions(AcrossHosts):
    """msgrecv --sessions --exec cat on this host, msgconnect on the other: what goes there comes back."""

    def serve(self, *arguments):
        """The port of the echo server."""
        server = self.msgd.spawn("msgrecv", "echo", "--address", SERVER, "--sessions", "--exec", "cat", *arguments)
        server.wait_for_stderr("msgrecv: echo at")
        return self.msgd.endpoint("echo")["port"]

    def connect(self, to):
        """A client on the other host, whose stdin is a pipe."""
        with HOSTS.elsewhere():
            return self.program([build_path("msgconnect"), to], stdin=subprocess.PIPE)

    def say(self, client, first, n, size=256):
        try:
            for text in numbered(first, n, size):
                client.process.stdin.write(text + b"\n")
            client.process.stdin.flush()
        except BrokenPipeError:
            client.wait(10)
            self.fail(f"msgconnect has ended: {client.stderr}")

    def hear(self, client, n, size=256):
        """Ends what is said, and expects messages 1 to n, in order, each once."""
        client.process.stdin.close()
        self.assertEqual(client.wait(60), 0, client.stderr)
        self.assertEqual(client.stdout.splitlines(), [t.decode() for t in numbered(1, n, size)])

    def exchange(self, to, n=N, size=256):
        client = self.connect(to)
        self.say(client, 1, n, size)
        self.hear(client, n, size)

    def test_with_a_fifth_lost_both_ways_everything_comes_back_in_order(self):
        port = self.serve()
        HOSTS.lose(20)
        self.exchange(f"{SERVER}:{port}")

    def test_long_messages_come_back_whole(self):
        port = self.serve()
        HOSTS.lose(10)
        self.exchange(f"{SERVER}:{port}", 8, 1 << 20)

    def test_doubled_and_out_of_order_everything_comes_back_in_order(self):
        port = self.serve()
        proxy = self.proxy(port, loss=10, duplicate=10, reorder="20:64", ports=SESSION_PORTS)
        self.exchange(f"{proxy.address}:{proxy.port}")
        self.assertEqual(proxy.stop()["strays"], 0)

    def test_on_a_single_port_it_is_the_same(self):
        port = self.serve("--single-port")
        proxy = self.proxy(port, loss=10, duplicate=10, reorder="20:64")
        self.exchange(f"{proxy.address}:{proxy.port}")
        proxy.stop()

    def test_a_client_whose_address_changes_goes_on(self):
        port = self.serve()
        client = self.connect(f"{SERVER}:{port}")
        self.say(client, 1, 100)
        client.wait_for_lines(100)
        port = self.peer_port()
        self.addCleanup(HOSTS.translate, port, None, 0)
        for i in range(1, 4):
            HOSTS.translate(port, OTHER, 40000 + i)
            self.say(client, 100 * i + 1, 100)
            client.wait_for_lines(100 * (i + 1), 20)
            wait_until(lambda i=i: self.peer() == f"{OTHER}:{40000 + i}", 10, "List to show the new address")
        self.hear(client, 400)

    def test_a_router_that_forgets_costs_nothing(self):
        port = self.serve()
        proxy = self.proxy(port, loss=5, ports=SESSION_PORTS)
        client = self.connect(f"{proxy.address}:{proxy.port}")
        for i in range(5):
            self.say(client, 200 * i + 1, 200)
            client.wait_for_lines(200 * (i + 1), 20)
            proxy.rebind()
        self.hear(client, 1000)
        self.assertEqual(proxy.stop()["rebound"], 5)

    def test_a_network_that_is_gone_for_a_while_is_waited_for(self):
        port = self.serve()
        client = self.connect(f"{SERVER}:{port}")
        self.say(client, 1, 100)
        client.wait_for_lines(100)
        HOSTS.lose(100)
        self.say(client, 101, 100)
        wait_until(lambda: HOSTS.n_lost() >= 3, 10, "something to be lost")
        HOSTS.lose(0)
        client.wait_for_lines(200, 20)
        self.hear(client, 200)

    def test_several_clients_do_not_meet(self):
        port = self.serve()
        HOSTS.lose(10)
        clients = [self.connect(f"{SERVER}:{port}") for _ in range(8)]
        for client in clients:
            self.say(client, 1, 200)
        for client in clients:
            self.hear(client, 200)

    def peer(self):
        return self.msgd.endpoint("echo")["sessions"][0]["peer"]

    def peer_port(self):
        return int(self.peer().rpartition(":")[2])


main()
