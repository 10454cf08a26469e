# SPDX-License-Identifier: MIT
"""
The Debian package in a Debian of its own, under the real systemd: installed, restarted, killed, reloaded, upgraded,
stopped, removed, while a sender sends 20,000 messages a second.
"""

import json
import os
import subprocess

from msgd_service import ServiceStory
from msgd_test import NOBODY, main, wait_until

# What a package may leave behind: what Debian's tools note, and the user, which Debian's packages leave.
LEFT_BY_TOOLS = ("/etc/.pwd.lock", "/etc/group-", "/etc/gshadow-", "/etc/passwd-", "/etc/shadow-", "/var/cache/", "/var/lib/apt/",
                 "/var/lib/dpkg/", "/var/log/")


class Installed(ServiceStory):
    def test_it_serves_and_everybody_may_ask_but_not_do_everything(self):
        self.assertEqual(self.property("ActiveState"), "active")
        for unit in ("msgd.service", "msgd.socket"):
            self.assertEqual(self.system.says("systemctl", "is-enabled", unit), "enabled")
        self.assertEqual(self.system.says("stat", "--format=%U:%G", f"/proc/{self.pid()}"), "msgd:msgd")
        adm, msgd = (self.system.says("getent", "group", name).split(":")[2] for name in ("adm", "msgd"))
        self.assertIn("NAME", self.system.says("msgls", uid=NOBODY, groups=adm))
        self.assertIn("administrator", self.system.run("msgctl", "reload", uid=NOBODY, groups=adm, is_expected=False).stderr)
        self.system.run("msgctl", "reload", uid=NOBODY, groups=msgd)
        self.system.run("systemd-analyze", "security", "--no-pager", "--threshold=15", "msgd.service")
        self.system.run("apt-get", "install", "--yes", self.packages.library)
        self.assertIn("libmsgd.so.0", self.system.says("ldconfig", "--print-cache"))

    def test_a_worker_gets_a_cpu_of_its_own_with_the_drop_in_of_the_manual(self):
        cpu = min(os.sched_getaffinity(0))
        self.system.path("/etc/msgd/msgd.json").write_text(json.dumps({"workers_cpus": str(cpu)}))
        self.system.run("systemctl", "restart", "msgd.service", is_expected=False)
        wait_until(lambda: "a unit needs SystemCallFilter=sched_setaffinity" in self.system.journal(), 10, "the reason to be told")
        folder = self.system.path("/etc/systemd/system/msgd.service.d")
        folder.mkdir()
        (folder / "cpus.conf").write_text("[Service]\nSystemCallFilter=sched_setaffinity\n")
        self.systemctl("daemon-reload")
        self.systemctl("restart", "msgd.service")
        threads = self.system.says("sh", "-c", f"cat /proc/{self.pid()}/task/*/status")
        self.assertIn(f"Cpus_allowed_list:\t{cpu}\n", threads)

    def test_a_unit_that_is_new_is_in_force_after_the_upgrade(self):
        def change(root):
            unit = root / "usr/lib/systemd/system/msgd.service"
            unit.write_text(unit.read_text().replace("UMask=0077", "UMask=0177"))
        self.install(self.packages.later())
        former = self.pid()
        self.install(self.packages.later(change))
        self.assertNotEqual(self.pid(), former)
        self.assertIn("Umask:\t0177", self.system.says("cat", f"/proc/{self.pid()}/status"))


class UnderLoad(ServiceStory):
    """The events of a service's life, each followed by further messages."""

    has_large_buffers = True

    def restart(self):
        former = self.pid()
        self.systemctl("restart", "msgd.service")
        self.assertNotEqual(self.pid(), former)
        self.assertGreater(int(self.property("NFileDescriptorStore")), 0, "systemd keeps descriptors")

    def kill(self):
        former = self.pid()
        self.systemctl("kill", "--signal=KILL", "--kill-whom=main", "msgd.service")
        self.wait_for_another(former)

    def reload(self):
        former = self.pid()
        self.systemctl("reload", "msgd.service")
        self.assertEqual(self.pid(), former)

    def upgrade(self):
        """systemd has another main process, and has restarted nothing."""
        before = self.pid(), self.property("ActiveEnterTimestampMonotonic")
        self.system.run("msgctl", "upgrade")
        self.check_taken_over(*before)

    def check_taken_over(self, pid, since):
        self.assertNotEqual(self.pid(), pid)
        self.assertEqual(self.system.call("GetInfo")["pid"], self.pid())
        self.assertEqual(self.property("ActiveEnterTimestampMonotonic"), since)
        wait_until(lambda: not self.system.path(f"/proc/{pid}").exists(), 10, "the old msgd to end")

    def upgrade_package(self):
        before = self.pid(), self.property("ActiveEnterTimestampMonotonic")
        self.install(self.packages.later())
        self.assertTrue(self.system.says("dpkg-query", "--show", "--showformat=${Version}", "msgd").endswith(f"-{self.packages.n}"))
        self.check_taken_over(*before)
        self.assertEqual(self.system.says("readlink", f"/proc/{self.pid()}/exe"), "/usr/sbin/msgd", "it is the new program")

    def go_through(self, name, *events):
        for event in events:
            event()
            self.wait_for_more(name)

    def test_a_consumer_gets_everything_in_order(self):
        consumer = self.consumer("thermo", "--json")
        sender = self.sender("thermo")
        self.go_through("thermo", self.restart, self.kill, self.reload, self.upgrade, self.kill, self.upgrade_package, self.restart)
        sent = self.finish(sender, "thermo")
        self.check_numbers(consumer, sent)
        n_killed = self.system.says("journalctl", "--unit=msgd.service").count("code=killed")
        self.assertEqual(n_killed, 2, "systemd waits for the orderly end of an upgraded one, too")

    def test_what_waits_without_a_consumer_is_there_in_order(self):
        self.consumer("store").stop()
        sender = self.sender("store")
        self.go_through("store", self.upgrade_package, self.kill, self.restart, self.upgrade)
        sent = self.finish(sender, "store")
        self.assertEqual(self.seen["queued"], sent)
        self.check_numbers(self.consumer("store", "--json"), sent)

    def test_a_conversation_goes_on(self):
        server = self.consumer("talk", "--sessions", "--exec", "cat")
        client = self.system.spawn(self.folder, "msgconnect", "talk", stdin=subprocess.PIPE)
        self.addCleanup(client.kill)
        client.wait_for_stderr("session ")
        n = 0
        for event in (self.restart, self.upgrade, self.upgrade_package):
            for n in range(n + 1, n + 1001):
                client.process.stdin.write(b"%d\n" % n)
            client.process.stdin.flush()
            event()
        client.process.stdin.close()
        self.assertEqual(client.wait(30), 0, client.stderr)
        self.assertEqual([int(line) for line in client.lines()], list(range(1, n + 1)), "each once, in order")
        server.kill()

    def test_a_new_program_that_cannot_take_over_changes_nothing(self):
        def spoil(root):
            (root / "usr/sbin/msgd").write_text("#!/bin/sh\nexit 3\n")
        consumer = self.consumer("thermo", "--json")
        sender = self.sender("thermo")
        former = self.pid()
        said = self.install(self.packages.later(spoil))
        self.assertIn("status 3", said)
        self.assertIn("the old one goes on", said)
        self.assertEqual(self.pid(), former)
        self.wait_for_more("thermo")
        self.upgrade_package()
        self.wait_for_more("thermo")
        sent = self.finish(sender, "thermo")
        self.check_numbers(consumer, sent)

    def test_a_configuration_with_an_error_does_not_end_what_runs(self):
        former = self.pid()
        self.system.path("/etc/msgd/msgd.json").write_text("{\n")
        self.assertIn("/etc/msgd/msgd.json:", self.install(self.packages.later()))
        self.assertEqual(self.pid(), former)
        self.assertEqual(self.property("ActiveState"), "active")
        self.system.path("/etc/msgd/msgd.json").write_text("{}\n")
        self.upgrade()


class Removal(ServiceStory):
    is_installed = False
    has_large_buffers = True

    def files(self):
        """All that is there, but for what Debian's own tools write."""
        found = self.system.says("find", "/", "-xdev", "-path", "/tmp", "-prune", "-o", "-print").splitlines()
        return {path for path in found + self.system.says("find", "/run", "-name", "*msgd*").splitlines()
                if not path.startswith(LEFT_BY_TOOLS)}

    def test_stopped_removed_and_purged_it_leaves_nothing(self):
        before = self.files()
        self.install(self.packages.first)
        consumer = self.consumer("thermo", "--json")
        sender = self.sender("thermo")
        self.systemctl("stop", "msgd.socket", "msgd.service")
        self.assertEqual(self.property("Result"), "success")
        self.assertEqual(self.property("ActiveState"), "inactive")
        consumer.stop()
        numbers = [json.loads(line)["message"]["n"] for line in consumer.lines()]
        self.assertEqual(numbers, list(range(1, len(numbers) + 1)), "all up to the stop, in order")
        self.systemctl("start", "msgd.service")
        self.wait_for_more("thermo")
        self.remove("remove")
        sender.kill()
        self.assertEqual(self.system.says("systemctl", "is-active", "msgd.service", "msgd.socket", is_expected=False),
                         "inactive\ninactive")
        self.assertTrue(self.system.path("/etc/msgd/msgd.json").exists(), "the configuration stays")
        self.assertTrue(self.system.path("/var/lib/msgd/msgd.db").exists(), "the state stays")
        self.remove("purge")
        self.assertEqual(self.files() - before, set())
        self.assertIn("msgd", self.system.says("getent", "passwd", "msgd"), "the user stays, as Debian's do")

    def remove(self, how):
        self.system.run("apt-get", how, "--yes", "msgd")

    def test_what_was_registered_and_configured_is_there_after_a_new_installation(self):
        self.install(self.packages.first)
        self.system.call("Register", name="thermo", port=7001, lease_s=-1)
        self.system.path("/etc/msgd/endpoints.d/alarms.json").write_text('{"name": "alarms", "port": 7002}')
        self.remove("remove")
        self.install(self.packages.first)
        self.assertEqual({e["name"]: e["port"] for e in self.system.call("List")["endpoints"]}, {"thermo": 7001, "alarms": 7002})


main()
