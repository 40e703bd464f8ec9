#!/usr/bin/env python3
# usage: tests/s3/job_test.py PROGRAM [Class[.case]]
"""A job of examples/ with its checkpoints on real S3 servers, while it and they are killed in turn."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import restore
import servers

PROGRAM = ""
EXAMPLE = os.path.join(servers.HERE, "../../examples/bids.toml")
ROWS = 1_000_000
DONE, REFUSED = 0, 7


class Job(unittest.TestCase):
    maxDiff = None

    def begin(self, server):
        """examples/bids.toml, checkpointing more often, into a bucket."""
        self.folder = tempfile.mkdtemp(prefix="cst-job-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.running = []
        self.addCleanup(self.end)
        self.server, self.client = server, server.client()
        self.client.create_bucket(Bucket="state")
        with open(EXAMPLE, encoding="utf-8") as file:
            text = re.sub(r'every = "1s"', 'every = "50ms"', file.read())
        with open(os.path.join(self.folder, "job.toml"), "w", encoding="utf-8") as file:
            file.write(re.sub(r"rows       = \S+", f"rows       = {ROWS}", text))
        self.store = f"s3://state/bids?endpoint={server.endpoint}"
        self.environment = {**os.environ, "AWS_ACCESS_KEY_ID": server.access_key,
                            "AWS_SECRET_ACCESS_KEY": server.secret_key}

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def start(self, *arguments):
        process = subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, env=self.environment,
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, preexec_fn=servers.with_us)
        self.running.append(process)
        return process

    def call(self, *arguments, status=DONE):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=2 * servers.PATIENCE_S)
        self.assertEqual(process.returncode, status, err)
        return out if status == DONE else err

    def check(self, *found):
        """What `check` says of the store."""
        with open(os.path.join(self.folder, "job.toml"), encoding="utf-8") as file:
            text = file.read().replace("[checkpoint]", f'[checkpoint]\nstore = "{self.store}"')
        with open(os.path.join(self.folder, "checked.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        said = self.call("check", "checked.toml")
        for words in found:
            self.assertIn(words, said)

    def run_job(self):
        return self.start("run", "job.toml", "--checkpoint-store", self.store, "--quiet")

    def manifests(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="state", Prefix="bids/")
        return {row["Key"] for page in pages for row in page.get("Contents", ())
                if "/manifest-" in row["Key"]}

    def until_a_checkpoint(self, process):
        """Until there is one more; or the run is over."""
        before, deadline = self.manifests(), time.monotonic() + servers.PATIENCE_S
        while not self.manifests() - before and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def finish(self):
        """To the end; what the store then holds is what a run without S3 holds, and reads as it should."""
        self.call("run", "job.toml", "--checkpoint-store", self.store, "--quiet")
        self.call("checkpoints", "verify", self.store)
        asked = self.call("query", "job.toml", "--checkpoint-store", self.store, "--quiet")
        with open(os.path.join(self.folder, "job.toml"), encoding="utf-8") as file:
            text = file.read().replace("data/bids", "data/plain").replace("out/bids", "out/plain")
        with open(os.path.join(self.folder, "plain.toml"), "w", encoding="utf-8") as file:
            file.write(text.replace('"50ms"', '"1h"'))
        self.call("run", "plain.toml", "--quiet")
        self.assertEqual(asked, self.call("query", "plain.toml", "--quiet"))
        return asked


class Kills(Job):
    def test_the_job_and_the_gateway_are_killed_in_turn(self):
        self.begin(servers.Rgw(self))
        process = self.run_job()
        self.until_a_checkpoint(process)
        process.kill()
        process.communicate()
        self.assertEqual(process.returncode, -9)
        process = self.run_job()
        self.until_a_checkpoint(process)
        self.server.kill()
        self.server.again()
        process.communicate(timeout=servers.PATIENCE_S)  # it goes on, or says that it cannot
        self.finish()


class Reads(Job):
    def test_boto3_reads_a_checkpoint(self):
        global ROWS
        rows, ROWS = ROWS, 3000  # the reader is written in Python throughout
        self.begin(servers.Rgw(self))
        ROWS = rows
        asked = self.finish()
        os.environ.update(AWS_ACCESS_KEY_ID=self.server.access_key,
                          AWS_SECRET_ACCESS_KEY=self.server.secret_key)
        named = []
        checkpoint = restore.Checkpoint(restore.store_of(self.store), 0, named)
        its = checkpoint.stages[0]
        read = [restore.key_values(its.columns, key) + restore.value_values(its.program, value)
                for key, value in sorted(checkpoint.rows(1).items())]
        lines = [json.loads(line) for line in asked.splitlines()]
        self.assertEqual([row[:3] for row in read],
                         [[line["auction"], line["bids"], line["highest"]] for line in lines])
        self.assertGreater(len(named), 3)


class Versity(Job):
    def test_the_job_and_the_server_are_killed_in_turn(self):
        self.begin(servers.Versity(self))
        self.check("go with a CRC32C, which is checked", "also when an upload is completed",
                   "many are deleted at once")
        process = self.run_job()
        self.until_a_checkpoint(process)
        self.server.kill()
        process.kill()
        process.communicate()
        self.server.again()
        self.finish()


class S3rver(Job):
    def test_a_server_that_lies_is_refused(self):
        self.begin(servers.S3rver(self))
        said = self.call("run", "job.toml", "--checkpoint-store", self.store, status=REFUSED)
        self.assertIn("If-None-Match", said)
        self.assertEqual(said.lower().count("use a "), 1, said)
        print(said.strip())
        self.assertEqual(self.manifests(), set())


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
