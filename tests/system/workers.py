# SPDX-License-Identifier: MIT
"""Endpoints spread over several worker threads, with one consumer process for all of them."""

import collections
import json
import os
import pathlib
import re

from msgd_test import Story, build_path, main, numbered, run

N_ENDPOINTS = 8


class Workers(Story):
    def setUp(self):
        super().setUp()
        self.several = self.start({"workers": 3})

    def names(self):
        return [f"many-{i}" for i in range(N_ENDPOINTS)]

    def test_one_consumer_reads_from_all_of_them(self):
        drain = self.several.spawn("drain", "many", "--endpoints", str(N_ENDPOINTS), "--verify",
                                   "--count", str(N_ENDPOINTS * 500))
        drain.wait_for_stderr("attached")
        for name in self.names():
            self.several.send(name, numbered(1, 500))
        self.assertEqual(drain.wait(30), 0, drain.stderr)
        seen = json.loads(drain.stdout)
        self.assertEqual((seen["received"], seen["torn"], seen["repeated"]), (N_ENDPOINTS * 500, 0, 0))
        for name in self.names():
            self.several.wait_for_ledger(name, delivered=500, queued=0)

    def test_a_consumer_that_is_killed_leaves_everything_on_all_of_them(self):
        drain = self.several.spawn("drain", "many", "--endpoints", str(N_ENDPOINTS), "--verify", "--hold")
        drain.wait_for_stderr("attached")
        for name in self.names():
            self.several.send(name, numbered(1, 100))
            self.several.wait_for_ledger(name, datagrams=100)
        drain.kill()
        for name in self.names():
            self.several.wait_for_state(name, "away")
            self.several.wait_for_ledger(name, queued=100, delivered=0)
            messages = self.several.receive(name).take(100)
            self.assertEqual([m["seq"] for m in messages], list(range(1, 101)))


class Placed(Story):
    """Workers on CPUs of their own."""

    def allowed(self, pid):
        """The CPUs of each thread, most common first: all but the workers may run anywhere."""
        lists = [pathlib.Path(f"/proc/{pid}/task/{t}/status").read_text() for t in os.listdir(f"/proc/{pid}/task")]
        return collections.Counter(re.search(r"^Cpus_allowed_list:\s*(\S+)", text, re.M)[1] for text in lists)

    def test_each_worker_has_its_cpu_and_all_else_stays(self):
        cpus = sorted(os.sched_getaffinity(0), reverse=True)[:2]
        if len(cpus) < 2:
            self.skipTest("one CPU")
        free = self.allowed(self.start({"workers": 2}).pid)
        msgd = self.start({"workers": 2, "workers_cpus": ",".join(map(str, cpus))})
        seen = self.allowed(msgd.pid)
        self.assertEqual([seen[str(cpu)] for cpu in cpus], [1, 1])
        anywhere = free.most_common(1)[0][0]
        self.assertEqual(seen[anywhere], free[anywhere] - 2)
        self.assertEqual(json.loads(msgd.tool("msgctl", "info", "--json").stdout)["workers_cpus"], cpus)
        self.assertIn(f"2, on CPU {cpus[0]}, {cpus[1]}\n", msgd.tool("msgctl", "info").stdout)
        consumer = msgd.receive("thermo")
        msgd.send("thermo", numbered(1, 100))
        consumer.take(100)

    def test_without_the_setting_none_has_one(self):
        self.assertEqual(self.start().call("GetInfo")["workers_cpus"], [])

    def test_a_cpu_that_the_process_may_not_use_is_said(self):
        cpus = sorted(os.sched_getaffinity(0))
        path = f"{self.folder}/pinned.json"
        pathlib.Path(path).write_text(json.dumps({"workers_cpus": str(cpus[-1])}))
        command = [build_path("msgd"), "--config", path, "--check"]
        self.assertEqual(run(command).returncode, 0)
        if len(cpus) > 1:
            result = run(["taskset", "--cpu-list", str(cpus[0]), *command])
            self.assertEqual(result.returncode, 78, result.stderr)
            self.assertIn(f"of CPU {cpus[-1]} the system says no", result.stderr)


main()
