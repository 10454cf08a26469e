# SPDX-License-Identifier: MIT
"""What stands in docs/examples works as it stands there."""

import os
import random
import sys
import threading

from msgd_proxy import Proxy
from msgd_test import BUILD, SOURCE, WRAPPER, Closed, Story, free_port, main, run

EXAMPLES = SOURCE / "docs/examples"


class Examples(Story):
    def test_receive_py_is_a_consumer_with_nothing_but_the_standard_library(self):
        msgd = self.start()
        example = self.program([sys.executable, "-u", EXAMPLES / "receive.py", "thermo"],
                               env={**os.environ, "MSGD_SOCKET": msgd.socket})
        msgd.wait_for_state("thermo", "attached")
        msgd.send("thermo", ['{"temp": 21.5}', '{"temp": "ü"}'])
        lines = example.wait_for_lines(2)
        self.assertIn("21.5", lines[0])
        self.assertIn("ü", lines[1])

    def client(self, *arguments, **options):
        return run([sys.executable, "-B", EXAMPLES / "client.py", *arguments], timeout=60, **options)

    def test_client_py_has_its_messages_acknowledged_on_a_network_that_loses_some(self):
        msgd = self.start()
        receiver = msgd.receive("thermo")
        proxy = Proxy(self.folder, f"127.0.0.1:{receiver.port}", loss=10)
        self.addCleanup(proxy.close)
        target = f"{proxy.address}:{proxy.port}"
        texts = [f'{{"n": {n}}}' for n in range(40)]
        for command in ("send", "batch"):
            result = self.client(command, target, *texts)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(sorted(receiver.payloads(len(texts))), sorted(texts))
        proxy.stop()

    def test_client_py_prints_the_answer_to_a_request(self):
        msgd = self.start()
        shout = msgd.spawn("msgrecv", "shout", "--exec", "tr a-z A-Z")
        shout.wait_for_stderr("shout at")
        result = self.client("request", f"127.0.0.1:{msgd.endpoint('shout')['port']}", '"hello"')
        self.assertEqual((result.returncode, result.stdout), (0, '"HELLO"\n'), result.stderr)

    def shout_in_sessions(self, msgd, receiver):
        """Answers each message of each session in capitals, and finishes when the client has; until the daemon ends."""
        try:
            while True:
                event = receiver.connection.receive(3600)
                if event["event"] == "message":
                    msgd.call("Write", session=event["session"], payload=event["payload"].upper())
                elif event["event"] == "finish":
                    msgd.call("Close", session=event["session"])
        except (OSError, Closed):
            pass

    def test_client_py_holds_a_session_on_a_network_that_loses_some(self):
        first = random.randrange(25000, 29900)
        ports = [first, first + 99]
        msgd = self.start({"session_port_range": ports})
        receiver = msgd.receive("shout", sessions="auto")
        threading.Thread(target=self.shout_in_sessions, args=[msgd, receiver], daemon=True).start()
        proxy = Proxy(self.folder, f"127.0.0.1:{receiver.port}", loss=10, ports=ports)
        self.addCleanup(proxy.close)
        lines = [f'"line {n}"' for n in range(200)] + ['"' + "long " * 20000 + '"']
        result = self.client("connect", f"{proxy.address}:{proxy.port}", '{"user": "ada"}', input="\n".join(lines))
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines(), [line.upper() for line in lines])
        proxy.stop()

    def test_client_py_says_what_is_wrong(self):
        msgd = self.start()
        receiver = msgd.receive("small", max_message_bytes=10)
        result = self.client("send", f"127.0.0.1:{receiver.port}", '"longer than that"')
        self.assertEqual((result.returncode, result.stderr), (1, "client.py: refused: too_large\n"))
        result = self.client("send", f"127.0.0.1:{free_port()}", "1")
        self.assertEqual((result.returncode, result.stderr), (1, "client.py: nobody is there\n"))

    def test_a_server_and_clients_of_sessions_in_c(self):
        msgd = self.start()
        env = {**os.environ, "MSGD_SOCKET": msgd.socket}
        port = free_port()
        built = BUILD / "docs/examples"
        server = self.program([built / "example_session_server", port], env=env)
        server.wait_for_stderr("listening")
        for target in ("talk", f"127.0.0.1:{port}"):
            result = run([built / "example_session_client", target, '{"n": 1}', '"' + "long " * 20000 + '"', "[2]"], env=env)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stdout, '{"n": 1}\n"' + "long " * 20000 + '"\n[2]\n')
        self.assertEqual(run([built / "example_session_client", "nobody"], env=env).returncode, 1)
        self.assertEqual(server.stderr, "session_server: listening\n")

    def test_send_acknowledged_says_what_became_of_each_line(self):
        msgd = self.start()
        consumer = msgd.receive("thermo")
        result = run([BUILD / "docs/examples/example_send_acknowledged", "thermo"], input="1\nbad\n3\n",
                     env={**os.environ, "MSGD_SOCKET": msgd.socket})
        msgd.sent["thermo"] = msgd.ledger("thermo")["datagrams"]  # on a busy machine some go again
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, "line 1: stored \nline 3: stored \n")
        self.assertIn("line 2: ", result.stderr)
        self.assertEqual(consumer.payloads(2), ["1", "3"])

    def test_request_prints_the_answer(self):
        msgd = self.start()
        msgd.spawn("msgrecv", "shout", "--exec", "tr a-z A-Z").wait_for_stderr("shout at")
        environment = {**os.environ, "MSGD_SOCKET": msgd.socket}
        result = run([BUILD / "docs/examples/example_request", "shout", '"hello"'], env=environment)
        msgd.sent["shout"] = msgd.ledger("shout")["datagrams"]
        self.assertEqual((result.returncode, result.stdout), (0, '"HELLO"\n'), result.stderr)
        result = run([BUILD / "docs/examples/example_request", "nobody"], env=environment)
        self.assertEqual(result.returncode, 1)
        self.assertIn("nobody", result.stderr)

    def test_the_tour_goes_to_its_end(self):
        if WRAPPER:
            self.skipTest("the tour starts its daemon by itself")
        bin_folder = os.path.join(self.folder, "bin")
        os.mkdir(bin_folder)
        for folder, names in (("daemon", ["msgd"]), ("tools", ["msgsend", "msgrecv", "msgls", "msgtap", "msgconnect", "msgctl"])):
            for name in names:
                os.symlink(BUILD / folder / name, os.path.join(bin_folder, name))
        result = run([EXAMPLES / "tour.sh", bin_folder], timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("HELLO", result.stdout)


main()
