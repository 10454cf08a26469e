# SPDX-License-Identifier: MIT
"""What msgd has in memory while much more waits on disk."""

import json
import pathlib
import re
import tempfile

from msgd_process import Program, build_path
from msgd_test import Daemon, check_law, free_port

SIZE = 60000
MAILBOX = 1 << 20
OWN_MIB = 32  # that msgd may have beside the mailboxes


def memory_mib(pid):
    """RssAnon and RssShmem, without the pages of the program's files."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return sum(int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) for key in ("RssAnon", "RssShmem")) / 1024


def measure(_msgd, folder, is_quick, is_tiny=False):
    count = (16 << 20 if is_tiny else 512 << 20 if is_quick else 10 << 30) // SIZE
    port = free_port()
    msgd = Daemon(tempfile.mkdtemp(dir=folder), {
        "limits": {"spool_bytes": 20 << 30},
        "endpoints": [{"name": "away", "port": port, "durable": True, "mailbox_bytes": MAILBOX, "spool_bytes": 0}]})
    try:
        sender = Program([build_path("acks"), f"127.0.0.1:{port}", "--count", count, "--window", 64, "--size", SIZE], msgd.folder)
        assert sender.wait(900) == 0, sender.stderr
        assert json.loads(sender.stdout)["acknowledged"] == count
        ledger = msgd.ledger("away")
        check_law("away", ledger)
        assert ledger["spooled"] + ledger["queued"] == count, ledger
        return {"gib": ledger["spooled"] * SIZE / (1 << 30), "mib": memory_mib(msgd.pid), "at_most": OWN_MIB + MAILBOX / (1 << 20)}
    finally:
        msgd.finish()


def headline(figures):
    """The figures that msgd promises, by name."""
    yield "spool.memory_mib", figures["mib"]


def lines(figures):
    yield f"spool: {figures['gib']:.2f} GiB on disk{'measured':>24}{'at most':>12}"
    yield f"    {'MiB in memory':32}{figures['mib']:>12.1f}{figures['at_most']:>12.0f}"
