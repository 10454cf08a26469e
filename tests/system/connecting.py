# SPDX-License-Identifier: MIT
"""Sessions as people have them: msgconnect and msgrecv --sessions, talking, refused, broken off."""

import json
import os
import signal
import subprocess

from msgd_test import IS_INSTRUMENTED, SLOWNESS, Story, free_port, main, send_udp, udp_socket, wait_until


class Conversation(Story):
    def serve(self, *arguments, command=None, name="talk", msgd=None):
        """msgrecv --sessions, ready to accept."""
        msgd = msgd or self.start()
        arguments += ("--exec", command) if command else ()
        server = msgd.spawn("msgrecv", name, "--sessions", *arguments)
        server.wait_for_stderr(f"{name} at ")
        return msgd, server

    def connect(self, msgd, target="talk", *arguments, **options):
        """msgconnect to its end, with all of its stdin there from the beginning."""
        options.setdefault("timeout", 60)
        return msgd.tool("msgconnect", target, *arguments, **options)

    def talk(self, msgd, target="talk", *arguments):
        """msgconnect in the middle of a conversation: write to its stdin."""
        client = msgd.spawn("msgconnect", target, *arguments, stdin=subprocess.PIPE)
        client.wait_for_stderr("session ")
        self.addCleanup(lambda: client.process.stdin.close())
        return client

    def say(self, client, text):
        client.process.stdin.write(text.encode())
        client.process.stdin.flush()


class Talking(Conversation):
    def test_lines_go_there_and_back_and_the_end_of_stdin_ends_it(self):
        msgd, server = self.serve(command="cat")
        result = self.connect(msgd, input='{"a": 1}\n\n  "two"  \n[3]')
        self.assertEqual((result.returncode, result.stdout), (0, '{"a": 1}\n"two"\n[3]\n'), result.stderr)
        self.assertRegex(result.stderr, r"^msgconnect: session [0-9a-f]{32} with 127\.0\.0\.1:\d+\n$")
        self.assertEqual(msgd.endpoint("talk")["sessions"], [])
        self.assertEqual(server.stderr.count("\n"), 1)

    def test_a_conversation_goes_on_turn_by_turn(self):
        msgd, _ = self.serve(command="cat")
        client = self.talk(msgd)
        for n in range(5):
            self.say(client, f"{n}\n")
            client.wait_for_lines(n + 1)
        self.assertEqual(client.lines(), ["0", "1", "2", "3", "4"])
        client.process.stdin.close()
        self.assertEqual(client.wait(), 0, client.stderr)

    def test_an_address_needs_no_msgd_and_a_host_is_tried_at_each_of_its_addresses(self):
        msgd, _ = self.serve(command="cat")
        port = msgd.endpoint("talk")["port"]
        for target in (f"127.0.0.1:{port}", f"localhost:{port}"):
            result = self.connect(msgd, target, input="1\n", env={**os.environ, "MSGD_SOCKET": "/nonexistent"})
            self.assertEqual((result.returncode, result.stdout), (0, "1\n"), result.stderr)

    def test_the_other_family_and_one_port_for_all(self):
        msgd, _ = self.serve("-a", "::1", "--single-port", command="cat")
        result = self.connect(msgd, f"[::1]:{msgd.endpoint('talk')['port']}", input="1\n2\n")
        self.assertEqual((result.returncode, result.stdout), (0, "1\n2\n"), result.stderr)

    def test_the_server_prints_what_comes_in_sessions_and_beside_them(self):
        msgd, server = self.serve("--json")
        result = self.connect(msgd, "talk", "--identity", '{"who": "me"}', input='{"n": 1}\n2\n')
        self.assertEqual(result.returncode, 0, result.stderr)
        send_udp("127.0.0.1", msgd.endpoint("talk")["port"], ['"beside"'])
        first, second, beside = map(json.loads, server.wait_for_lines(3))
        self.assertEqual((first["message"], second["message"], beside["message"]), ({"n": 1}, 2, "beside"))
        self.assertEqual((first["name"], first["identity"]), ("talk", {"who": "me"}))
        self.assertIn(first["session"], result.stderr)
        self.assertNotIn("session", beside)

    def test_the_client_says_who_it_is_and_the_command_knows(self):
        command = 'printf "{\\"from\\":\\"$MSGD_FROM\\",\\"to\\":\\"$MSGD_TO\\",\\"name\\":\\"$MSGD_NAME\\",' \
                  '\\"session\\":\\"$MSGD_SESSION\\",\\"identity\\":$MSGD_IDENTITY}\\n"'
        msgd, _ = self.serve(command=command)
        result = self.connect(msgd, "talk", "--from", "home", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        line = json.loads(result.stdout)
        said = line["message"]
        self.assertEqual((said["name"], said["session"]), ("talk", line["session"]))
        self.assertEqual(said["to"], f"127.0.0.1:{msgd.endpoint('talk')['port']}")
        self.assertEqual((said["identity"]["program"], said["identity"]["name"]), ("msgconnect", "home"))
        self.assertEqual(set(said["identity"]), {"user", "host", "program", "name"})

    def test_the_server_may_end_first(self):
        msgd, _ = self.serve(command="read line; echo \"$line\"")
        client = self.talk(msgd)
        self.say(client, "1\n")
        self.assertEqual(client.wait(), 0, client.stderr)
        self.assertEqual(client.lines(), ["1"])

    def test_all_of_a_file_is_sent_though_the_server_says_nothing(self):
        folder = os.path.join(self.folder, "sunk")
        msgd, _ = self.serve(command=f"exec >&-; cat >{folder}; mv {folder} {folder}.whole")
        lines = "".join(f"{n}\n" for n in range(100000))
        result = self.connect(msgd, input=lines)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)
        wait_until(lambda: os.path.exists(f"{folder}.whole"), 10, "the command to have everything")
        with open(f"{folder}.whole", encoding="ascii") as file:
            self.assertEqual(file.read(), lines)

    def test_messages_of_one_and_of_sixteen_mebibytes(self):
        msgd, _ = self.serve(command="cat")
        sizes = [1 << 20, 1 << 24] if not IS_INSTRUMENTED else [1 << 20, 1 << 22]
        text = "".join(f'"{"x" * (n - 2)}"\n' for n in sizes)
        result = self.connect(msgd, input=text + "1\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout == text + "1\n", "it came back otherwise")

    def test_a_message_that_is_too_large_is_named_and_the_others_go(self):
        msgd, _ = self.serve(command="cat")
        result = self.connect(msgd, input=f'1\n"{"x" * ((1 << 24) - 1)}"\n2\n')
        self.assertEqual((result.returncode, result.stdout), (65, "1\n2\n"), result.stderr)
        self.assertIn("stdin, line 2: too large", result.stderr)

    def test_twenty_clients_at_once(self):
        msgd, server = self.serve(command="cat")
        lines = [f"{n}" for n in range(2000)]
        clients = []
        for n in range(20):
            path = os.path.join(self.folder, f"in{n}")
            with open(path, "w", encoding="ascii") as file:
                file.write("".join(f"{n + 1}{line}\n" for line in lines))
            with open(path, "rb") as file:
                clients.append(msgd.spawn("msgconnect", "talk", stdin=file))
        for n, client in enumerate(clients):
            self.assertEqual(client.wait(60), 0, client.stderr + server.stderr)
            self.assertEqual(client.lines(), [f"{n + 1}{line}" for line in lines])
        wait_until(lambda: msgd.endpoint("talk")["sessions"] == [], 10, "all sessions to be over")

    def test_a_slow_reader_holds_back_its_server_and_nobody_else(self):
        msgd, _ = self.serve(command="yes 123456789")
        slow = msgd.spawn("msgconnect", "talk", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        slow.wait_for_stderr("session ")
        self.serve(command="cat", name="other", msgd=msgd)
        result = self.connect(msgd, "other", input="1\n")
        self.assertEqual((result.returncode, result.stdout), (0, "1\n"), result.stderr)
        for _ in range(3):
            self.assertEqual(set(slow.process.stdout.read(1 << 20).split()[1:-1]), {b"123456789"})
        slow.process.stdout.close()
        slow.process.stdin.close()
        self.assertEqual(slow.wait(), 0, slow.stderr)


class Failing(Conversation):
    def test_a_bad_line_is_named_and_the_others_go(self):
        msgd, _ = self.serve(command="cat")
        result = self.connect(msgd, input='1\n{"a":}\nhello\n2\n')
        self.assertEqual((result.returncode, result.stdout), (65, "1\n2\n"))
        self.assertIn("stdin, line 2: not JSON: column 6", result.stderr)
        self.assertIn("stdin, line 3: not JSON: column 1", result.stderr)

    def test_a_bad_line_of_the_command_is_named_and_the_others_go(self):
        msgd, server = self.serve(command="echo 1; echo hello; echo 2")
        result = self.connect(msgd)
        self.assertEqual((result.returncode, result.stdout), (0, "1\n2\n"), result.stderr)
        server.wait_for_stderr("line 2 of the command: not JSON")

    def test_a_command_that_fails_is_named(self):
        msgd, server = self.serve(command="echo 1; exit 3")
        result = self.connect(msgd)
        self.assertEqual((result.returncode, result.stdout), (0, "1\n"), result.stderr)
        server.wait_for_stderr("failed with exit status 3")

    def test_nobody_there(self):
        msgd = self.start()
        port = msgd.register("mute")[1]["port"]
        asking = msgd.register("asking", sessions="auto")[1]["port"]
        for target, code, words in (
                (f"127.0.0.1:{free_port()}", 69, "nobody listens"),
                (f"127.0.0.1:{port}", 69, "no sessions"),
                (f"127.0.0.1:{asking}", 69, "nobody takes sessions"),
                ("nobody", 68, "no endpoint"),
                ("no.such.host.invalid:7000", 68, "no.such.host.invalid")):
            result = self.connect(msgd, target)
            self.assertEqual(result.returncode, code, f"{target}: {result.stderr}")
            self.assertIn(words, result.stderr)
            self.assertEqual(result.stdout, "")

    def test_silence_is_75(self):
        msgd = self.start()
        with udp_socket() as silent:
            result = self.connect(msgd, "127.0.0.1:%d" % silent.getsockname()[1], "--timeout", "0.3")
        self.assertEqual(result.returncode, 75, result.stderr)
        self.assertIn("no answer", result.stderr)

    def test_refused_with_the_servers_reason_is_77(self):
        msgd = self.start()
        server = msgd.connect()
        server.stream("Receive", name="talk", sessions="ask")
        msgd.wait_for_state("talk", "attached")
        client = msgd.spawn("msgconnect", "talk")
        offer = server.receive(10 * SLOWNESS)
        self.assertEqual(json.loads(offer["identity"])["program"], "msgconnect")
        msgd.call("Refuse", session=offer["session"], reason="not today")
        self.assertEqual(client.wait(), 77)
        self.assertIn("not today", client.stderr)

    def test_the_server_goes(self):
        msgd, server = self.serve(command="cat")
        client = self.talk(msgd)
        self.say(client, "1\n")
        client.wait_for_lines(1)
        server.send_signal(signal.SIGKILL)
        self.assertEqual(client.wait(), 69)
        self.assertIn("server ended", client.stderr)

    def test_msgd_goes(self):
        msgd, server = self.serve(command="cat")
        client = self.talk(msgd)
        self.say(client, "1\n")
        client.wait_for_lines(1)
        msgd.stop()
        self.assertEqual(client.wait(), 69)
        self.assertIn("ended the session", client.stderr)
        server.wait_for_stderr("session ")

    def test_the_server_serves_again_after_a_restart_of_msgd(self):
        msgd, server = self.serve("-p", str(free_port()), command="cat")
        self.assertEqual(self.connect(msgd, input="1\n").stdout, "1\n")
        msgd.kill()
        msgd.launch()
        wait_until(lambda: self.connect(msgd, input="2\n").stdout == "2\n", 10, "the server to listen again")
        self.assertTrue(server.is_running(), server.stderr)

    def test_a_signal_ends_the_client_and_the_server_knows(self):
        msgd, server = self.serve(command="cat")
        client = self.talk(msgd)
        self.say(client, "1\n")  # the server has it, which may take it later than the client hears of it
        client.wait_for_lines(1)
        self.assertEqual(client.stop(signal.SIGINT), 0, client.stderr)
        server.wait_for_stderr("interrupted")
        wait_until(lambda: msgd.endpoint("talk")["sessions"] == [], 10, "the session to be over")

    def test_the_end_of_the_server_ends_its_commands(self):
        msgd, server = self.serve(command="echo $$; trap '' TERM; cat")
        client = self.talk(msgd)
        pid = int(client.wait_for_lines(1)[0])
        self.assertEqual(server.stop(signal.SIGTERM), 0, server.stderr)
        self.assertFalse(os.path.exists(f"/proc/{pid}"), "the command still runs")
        self.assertEqual(client.wait(), 69)
        self.assertIn("server ended", client.stderr)

    def test_count_and_timeout_of_the_server(self):
        msgd = self.start()
        server = msgd.spawn("msgrecv", "talk", "--sessions", "--count", "2")
        server.wait_for_stderr("talk at ")
        for n in range(2):
            self.assertEqual(self.connect(msgd, input=f"{n}\n").returncode, 0)
        self.assertEqual(server.wait(), 0, server.stderr)
        self.assertEqual(server.lines(), ["0", "1"])
        server = msgd.spawn("msgrecv", "talk", "--sessions", "--count", "2", "--timeout", "0.2")
        self.assertEqual(server.wait(), 75, server.stderr)
        server = msgd.spawn("msgrecv", "talk", "--sessions", "--timeout", "0.2")
        self.assertEqual(server.wait(), 0, server.stderr)

    def test_what_the_command_line_may_not_say(self):
        msgd = self.start()
        for tool, arguments, words in (
                ("msgconnect", [], "TARGET"),
                ("msgconnect", ["127.0.0.1"], "a port"),
                ("msgconnect", ["127.0.0.1:0"], "1 to 65535"),
                ("msgconnect", ["127.0.0.1:7000", "more"], "more"),
                ("msgconnect", ["a", "--identity", "me"], "expected JSON"),
                ("msgconnect", ["a", "--identity", '"' + "x" * 600 + '"'], "512"),
                ("msgconnect", ["a", "--identity", "1", "--from", "b"], "--from"),
                ("msgconnect", ["a", "--from", "B"], "--from"),
                ("msgconnect", ["a", "--timeout", "0"], "--timeout"),
                ("msgconnect", ["a", "--tiemout", "1"], "--timeout"),
                ("msgrecv", ["a", "--single-port"], "--sessions"),
                ("msgrecv", ["a", "--sessions", "--format", "raw"], "raw"),
                ("msgrecv", ["a", "--session"], "--sessions")):
            result = msgd.tool(tool, *arguments)
            self.assertEqual(result.returncode, 64, f"{tool} {arguments}: {result.stderr}")
            self.assertIn(words, result.stderr)


main()
