# SPDX-License-Identifier: MIT
"""
The service as an administrator has it: the Debian package of the tree, installed in a container (msgd_container.py)
whose systemd runs it, with a sender and consumers.
"""

import atexit
import functools
import json
import pathlib
import re
import shutil
import signal
import tempfile

import msgd_debian
from msgd_container import Container
from msgd_test import BUILD, NOBODY, SOURCE, Story, build_path, check_law, run, wait_until

RATE = 20_000
PAYLOAD_BYTES = 200
# Bridges seconds, in which a machine that is busy with something else lets neither msgd nor systemd run. The package's
# 4 MiB are 6,500 such datagrams, 325 ms of them: the pauses that are printed say what is left of that.
BUFFER = 64 << 20
# More than net.core.rmem_max takes a capability that the service has only here.
LARGE_BUFFERS = "[Service]\nCapabilityBoundingSet=CAP_NET_ADMIN\nAmbientCapabilities=CAP_NET_ADMIN\n"

# What the journal says when a pause begins.
PAUSE_BEGINS = ("stopping", "an upgrade begins", "msgd.service: Main process exited")


def _must(*command, **options):
    result = run(command, timeout=300, **options)
    assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
    return result.stdout


class Packages:
    """The package msgd of this tree as version 1, and later versions of it, which differ as is said."""

    def __init__(self):
        _must(f"{SOURCE}/tests/support/packages.sh", BUILD)
        built, = pathlib.Path(BUILD, "package/packages").glob("msgd_*.deb")
        self.library, = pathlib.Path(BUILD, "package/packages").glob("libmsgd0_*.deb")
        self.folder = tempfile.mkdtemp(prefix="msgd-packages-")
        self.first = shutil.copy(built, self.folder)
        self.library = shutil.copy(self.library, self.folder)
        self.n = 1

    def later(self, change=None):
        """The next version; change(root): what is other in it, beside the version."""
        self.n += 1
        root = pathlib.Path(self.folder, f"root{self.n}")
        _must("dpkg-deb", "--raw-extract", self.first, root)
        control = root / "DEBIAN/control"
        control.write_text(re.sub(r"^(Version: .*-).*$", rf"\g<1>{self.n}", control.read_text(), flags=re.M))
        if change:
            change(root)
        deb = f"{self.folder}/msgd_{self.n}.deb"
        _must("dpkg-deb", "--root-owner-group", "-Znone", "--build", root, deb)
        return deb


@functools.cache
def packages():
    """Made once for all tests of a story."""
    made = Packages()
    atexit.register(shutil.rmtree, made.folder)
    return made


class ServiceStory(Story):
    """Each test has a system of its own, freshly booted, and the package installed in it."""

    is_installed = True
    has_large_buffers = False

    def setUp(self):
        super().setUp()
        try:
            msgd_debian.make()
            self.packages = packages()
            self.system = Container(self.folder, self.packages.folder)
        except msgd_debian.Unavailable as reason:
            self.skipTest(str(reason))
        self.addCleanup(self.system.stop)
        if self.has_large_buffers:
            folder = self.system.path("/etc/systemd/system/msgd.service.d")
            folder.mkdir()
            (folder / "buffers.conf").write_text(LARGE_BUFFERS)
        if self.is_installed:
            self.install(self.packages.first)

    # The administrator.

    def install(self, package):
        """Of the first or a later version; what it says. By dpkg, which apt-get calls and which takes half the time."""
        result = self.system.run("dpkg", "--install", package, timeout=120)
        return result.stdout + result.stderr

    def systemctl(self, *arguments):
        return self.system.run("systemctl", *arguments)

    def property(self, name, unit="msgd.service"):
        return self.system.says("systemctl", "show", "--property", name, "--value", unit)

    def pid(self):
        return int(self.property("MainPID"))

    def wait_for_another(self, pid):
        """Until a main process that is not `pid` is ready."""
        def is_there():
            return self.pid() not in (0, pid) and self.property("ActiveState") == "active"
        wait_until(is_there, 20, "systemd to have started msgd again")

    # Those who send and receive.

    def endpoint(self, name):
        return self.system.call("List", names=[name])["endpoints"][0]

    def consumer(self, name, *arguments):
        """msgrecv as an ordinary user, with room for seconds in which it is not there."""
        consumer = self.system.spawn(self.folder, "msgrecv", name, "--lease", "forever", "--mailbox-bytes", "128M",
                                     "--receive-buffer-bytes", BUFFER, *arguments, uid=NOBODY, groups=NOBODY)
        self.addCleanup(consumer.kill)
        consumer.wait_for_stderr(f"{name} at ")
        return consumer

    def sender(self, name):
        """Numbered messages to the endpoint, RATE a second until it is stopped."""
        sender = self.system.spawn_on_network(self.folder, build_path("flood"), "127.0.0.1", self.endpoint(name)["port"],
                                              "--rate", RATE, "--size", PAYLOAD_BYTES, "--seconds", 120)
        self.addCleanup(sender.kill)
        self.wait_for_more(name)
        return sender

    def wait_for_more(self, name, n=RATE // 5):
        """Until n more datagrams have been read than now."""
        before = self.endpoint(name)["ledger"]["datagrams"]
        wait_until(lambda: self.endpoint(name)["ledger"]["datagrams"] >= before + n, 20, f"{n} datagrams more")

    def finish(self, sender, name):
        """Ends the sender; all that it sent was read, every message is accounted for. How many it sent."""
        self.assertEqual(sender.stop(signal.SIGTERM), 0, sender.stderr)
        sent = json.loads(sender.stdout)["sent"]

        def is_read():
            self.seen = self.endpoint(name)["ledger"]
            return self.seen["datagrams"] + self.seen["kernel_dropped"] >= sent
        try:
            wait_until(is_read, 10, "")
        except AssertionError:
            raise AssertionError(f"{sent} datagrams were sent; the ledger has {self.seen}") from None
        self.check_ledger(name, sent)
        return sent

    def check_ledger(self, name, sent):
        ledger = self.seen
        check_law(name, ledger)
        self.assertEqual(ledger["datagrams"] + ledger["kernel_dropped"], sent)
        self.assertEqual(sum(ledger["dropped"].values()), 0, ledger)
        self.assertEqual(ledger["kernel_dropped"], 0, f"the kernel has buffered {self.endpoint(name)['receive_buffer_granted']} bytes")
        self.report(name, f"{sent} sent, none lost; pauses of " + ", ".join(f"{ms:.0f}" for ms in self.pauses_ms()) + " ms")

    def pauses_ms(self):
        """How long each took, from when the journal says that one msgd ends to when it says that the next one serves."""
        pauses, begin = [], None
        for line in self.system.says("journalctl", "--unit=msgd.service", "--output=json").splitlines():
            entry = json.loads(line)
            if entry["MESSAGE"].startswith(PAUSE_BEGINS) and begin is None:
                begin = int(entry["__MONOTONIC_TIMESTAMP"])
            elif entry["MESSAGE"].startswith("no upgrade"):
                begin = None
            elif " serves /" in entry["MESSAGE"] and begin is not None:
                pauses.append((int(entry["__MONOTONIC_TIMESTAMP"]) - begin) / 1000)
                begin = None
        return pauses

    def check_numbers(self, consumer, sent):
        """Everything that was sent came, in order; what came again is marked."""
        wait_until(self.is_everything_released, 20, "the consumer to have released everything")
        consumer.stop(signal.SIGTERM)
        seen, first_time = set(), []
        for line in consumer.lines():
            message = json.loads(line)
            number = message["message"]["n"]
            if number in seen:
                self.assertTrue(message["redelivered"], f"{number} came twice")
            else:
                seen.add(number)
                first_time.append(number)
        self.assertEqual(len(first_time), sent)
        self.assertEqual(first_time, list(range(1, sent + 1)), "in order")

    def is_everything_released(self):
        return all(e["ledger"]["queued"] == 0 for e in self.system.call("List")["endpoints"])
