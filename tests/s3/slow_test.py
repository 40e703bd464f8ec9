#!/usr/bin/env python3
# usage: tests/s3/slow_test.py PROGRAM [Class[.case]]
"""A store that is slower than the job: what uploads hold in memory, what becomes of the sources, and of
checkpoints that take too long."""

import json
import os
import re
import signal
import sys
import time
import unittest

import bids
import servers

MIB = 1 << 20
UPLOAD_MIB = 32
SLACK_MIB = 16  # of the allocator, libcurl and the threads' stacks
SLOW = "* throttle up 1m"  # each connection
KEYS = 1_500_000
STAGED = 96 * MIB
CAP_PERCENT = 80  # of it: sources rest from there on

SETTINGS = """
state = {{budget = "1GiB"}}
[checkpoint]
every        = "1s"
staged_max   = "{staged}B"
step_timeout = "{timeout}"
"""


class Slow(bids.Job):
    def begin_slow(self, *rules, **settings):
        self.begin(servers.Rgw(self, MEMORY_MB=4096))
        self.proxy = servers.Proxy(self, self.server.port, *rules)
        self.store = self.uri(f"http://127.0.0.1:{self.proxy.port}", f"&upload_mib={UPLOAD_MIB}")
        self.write_uniform(f"keys = {KEYS}", 4, SETTINGS.format(
            **{"staged": 256 * MIB, "timeout": "60s", **settings}))
        self.process = self.start("run", "job.toml", "--checkpoint-store", self.store, "--json")
        self.metrics, self.said, self.used = {}, {"used_bytes": 0, "rows": 0}, 0
        self.residents = []

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s*(\d+) kB", file.read())[1]) << 10

    def until(self, condition):
        """Reads what the job says until that is so; `condition` sees each line of metrics once."""
        deadline, fresh = time.monotonic() + servers.PATIENCE_S, bool(self.metrics)
        while not (fresh and condition()):
            fresh = False
            self.assertLess(time.monotonic(), deadline, self.metrics)
            said = json.loads(self.process.stdout.readline() or self.fail(self.process.stderr.read()))
            if "rows" in said:
                self.said = said
            elif "metrics" in said:
                self.metrics = {name.removeprefix("constellation_"): value
                                for name, value in said["metrics"].items()}
                fresh = True

    def stop(self):
        """What the reset hits may have begun an upload and not be told: a sweep takes it, a day later."""
        self.proxy.say("clear")
        self.proxy.say("reset")
        self.process.send_signal(signal.SIGINT)
        err = self.process.communicate(timeout=servers.PATIENCE_S)[1]
        self.assertEqual(self.process.returncode, bids.DONE, err)
        return err

    def slow_down(self):
        """Behind a first checkpoint, so that the tables are there."""
        self.until(lambda: self.metrics["checkpoints_total"] > 0)
        self.proxy.say("rule " + SLOW)
        self.proxy.say("reset")

    def beside_state(self):
        """Memory that is not the state's, which has its own bound: what was resident two lines ago, as
        the state has grown while its line was on its way."""
        self.used = max(self.used, self.said["used_bytes"])
        self.residents.append(self.resident())
        return self.residents[-3:][0] - self.used

    def uploads(self):
        return {(row["Key"], row["UploadId"]) for row in self.client.list_multipart_uploads(
            Bucket="state").get("Uploads", ())}

    def test_uploads_hold_what_they_may_and_sources_slow_down(self):
        self.begin_slow(staged=STAGED)
        self.slow_down()
        before, seen = self.beside_state(), []
        def rests():
            seen.append(self.metrics)
            self.assertLessEqual(self.metrics["upload_memory_bytes_max"], UPLOAD_MIB * MIB)
            self.assertLess(self.beside_state() - before, (UPLOAD_MIB + SLACK_MIB) * MIB)
            return self.metrics["source_rest_seconds_total"] > seen[0]["source_rest_seconds_total"] + 2
        self.until(rests)
        self.assertGreater(max(one["upload_left_bytes"] for one in seen), 2 * UPLOAD_MIB * MIB)
        self.assertGreater(max(one["staged_bytes"] for one in seen), STAGED * CAP_PERCENT // 100)
        self.assertGreater(max(one["upload_left_seconds"] for one in seen), 1)
        self.assertGreater(self.said["upload_left_bytes"], 0)
        rows = self.said["rows"]
        self.until(lambda: self.said["rows"] > rows)  # slower, and on
        self.assertIn('why="uploads are behind"', self.stop())
        self.call("checkpoints", "verify", self.uri())

    def test_the_uploads_of_a_checkpoint_that_takes_too_long_are_cancelled(self):
        self.begin_slow(timeout="3s")
        self.slow_down()
        seen = {}
        def cancelled():
            """Uploads that were under way, and are neither that nor objects."""
            seen.update(self.uploads())
            return set(seen) - set(dict(self.uploads())) - self.keys()
        self.until(lambda: cancelled() and self.metrics["checkpoints_aborted_total"] > 0)
        gone = {key.split("/")[2] for key in cancelled()}  # their checkpoints
        self.stop()
        self.assertFalse([name for name in self.manifests() if name.split("/")[2] in gone])
        self.call("checkpoints", "verify", self.uri())


if __name__ == "__main__":
    bids.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
