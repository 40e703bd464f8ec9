"""examples/bids.toml with its checkpoints in a bucket of a server that the test starts."""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import servers

PROGRAM = ""
EXAMPLE = os.path.join(servers.HERE, "../../examples/bids.toml")
DONE, FAILED, FENCED, REFUSED = 0, 1, 6, 7


class Job(unittest.TestCase):
    maxDiff = None
    rows = 1_000_000

    def begin(self, server):
        self.folder = tempfile.mkdtemp(prefix="cst-job-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.running = []
        self.addCleanup(self.end)
        self.server, self.client = server, server.client()
        self.client.create_bucket(Bucket="state")
        self.environment = {**os.environ, "HOME": self.folder, "AWS_REGION": server.region,
                            "AWS_ACCESS_KEY_ID": server.access_key,
                            "AWS_SECRET_ACCESS_KEY": server.secret_key}
        self.store = self.uri()
        self.write()

    def uri(self, endpoint=None, more=""):
        return f"s3://state/bids?endpoint={endpoint or self.server.endpoint}{more}"

    def write(self, file="job.toml", name="bids", every="50ms", rows=None, more=""):
        """The example, checkpointing more often, in folders of this name."""
        with open(EXAMPLE, encoding="utf-8") as example:
            text = re.sub(r'every = "1s"', f'every = "{every}"', example.read())
        text = re.sub(r"rows       = \S+", f"rows       = {rows or self.rows}", text)
        with open(os.path.join(self.folder, file), "w", encoding="utf-8") as job:
            job.write(text.replace("data/bids", f"data/{name}").replace("out/bids", f"out/{name}"))
            job.write(more)

    def write_uniform(self, source, partitions, more):
        """Another job in its place: keys that all come, so that its checkpoints are large."""
        with open(os.path.join(self.folder, "job.toml"), "w", encoding="utf-8") as job:
            job.write(f"""
job    = {{name = "uniform", partitions = {partitions}, dir = "data/uniform"}}
source = {{kind = "generator", name = "uniform", {source}}}
key    = {{columns = ["key"]}}
sink   = {{kind = "none"}}
aggregate = [{{as = "rows", op = "count"}}, {{as = "sum", op = "sum", column = "value"}}]
{more}
""")

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def start(self, *arguments, folder=""):
        """In a folder of the job's, else in that."""
        process = subprocess.Popen([PROGRAM, *arguments], env=self.environment,
                                   cwd=os.path.join(self.folder, folder),
                                   text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, preexec_fn=servers.with_us)
        self.running.append(process)
        return process

    def ends(self, process, status=DONE):
        """What it said: its results, or what is wrong."""
        out, err = process.communicate(timeout=2 * servers.PATIENCE_S)
        self.assertEqual(process.returncode, status, err)
        return out if status == DONE else err

    def call(self, *arguments, status=DONE):
        return self.ends(self.start(*arguments), status)

    def run_job(self, store=None, more=(), folder=""):
        return self.start("run", "job.toml", "--checkpoint-store", store or self.store, "--quiet", *more,
                          folder=folder)

    def keys(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="state", Prefix="bids/")
        return {row["Key"] for page in pages for row in page.get("Contents", ())}

    def manifests(self):
        return {key for key in self.keys() if "/manifest-" in key}

    def until_a_checkpoint(self, process):
        """Until there is one more; or the run is over."""
        before, deadline = self.manifests(), time.monotonic() + servers.PATIENCE_S
        while not self.manifests() - before and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)

    def finish(self):
        """To the end; what the store then holds is what a run without S3 holds, and reads as it should."""
        self.ends(self.run_job())
        return self.check()

    def check(self, rows=None):
        self.assertIn("good", self.call("checkpoints", "verify", self.uri()))
        asked = self.call("query", "job.toml", "--checkpoint-store", self.uri(), "--quiet")
        self.write("plain.toml", "plain", "1h", rows)
        self.call("run", "plain.toml", "--quiet")
        self.assertEqual(asked, self.call("query", "plain.toml", "--quiet"))
        return asked

    def verb_check(self, store, status=DONE):
        """What the verb says of a job with that store."""
        self.write("checked.toml", more=f'store = "{store}"\n')  # the example ends with [checkpoint]
        return self.call("check", "checked.toml", status=status)

    def found_by_check(self, *found):
        said = self.verb_check(self.uri())
        for words in found:
            self.assertIn(words, said)
