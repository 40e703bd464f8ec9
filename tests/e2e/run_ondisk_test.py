#!/usr/bin/env python3
# usage: tests/e2e/run_ondisk_test.py PROGRAM [Class[.case]]
"""constellation run: jobs whose state is on disk, and larger than memory."""

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import run_jobs
from run_jobs import Jobs, INPUT, FENCED, ROWS


# A key's record takes 288 bytes, and there are ten budgets of them.
BIG_KEYS = 583_000
BIG_BUDGET_MIB = 16
BIG = """
[job]
name = "big"
partitions = 1
totals = true
[source]
kind = "file"
path = "rows.csv"
format = "csv"
columns = ["key string", "value u64"]
[key]
columns = ["key"]
key_bytes_max = 248
[[aggregate]]
as = "n"
op = "count"
[[aggregate]]
as = "sum"
op = "sum"
column = "value"
[state]
store = "lmdb:state"
budget = "16MiB"
[device]
batch_rows = 1024
[checkpoint]
every = "200ms"
fold = 1000
"""


def memory_of_its_own(process):
    """Bytes of the process that no file is behind."""
    try:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return 0


class OnDisk(Jobs):
    """[state] store = "lmdb:FOLDER"."""

    def place(self, store):
        name = os.path.join(self.folder.name, "job.toml")
        with open(name, encoding="utf-8") as file:
            text = file.read()
        budget = "64MiB" if store.startswith("lmdb") else "512MiB"
        with open(name, "w", encoding="utf-8") as file:
            file.write(re.sub(r"\[state\][^\[]*", f'[state]\nstore = "{store}"\nbudget = "{budget}"\n',
                              text))

    def state(self, *names):
        return glob.glob(os.path.join(self.folder.name, "state", *names))

    def test_killed_again_and_again_it_loses_and_repeats_nothing(self):
        rows = ROWS // 4
        self.job(rows=rows, every="20ms", fold="3")
        self.place("lmdb:state")
        for _ in range(4):
            seen = len(self.manifests())
            process = self.start("--quiet")
            self.wait_for(lambda: len(self.manifests()) > seen or process.poll() is not None)
            process.kill()
            process.wait()
        done = self.run_json()[-1]
        self.assertGreater(done["recovered_from"], 0)
        self.check_result(rows)
        self.assertEqual(sorted(os.path.basename(path).split("-")[0] for path in self.state("*-*")),
                         ["0", "1"])

    def test_a_job_moves_between_memory_and_disk(self):
        rows = ROWS // 20
        for turn, store in enumerate(["hash:", "lmdb:state", "hash:", "lmdb:state"], 1):
            self.job(rows=turn * rows)
            self.place(store)
            self.run_json()
            self.check_result(turn * rows)

    def test_what_is_damaged_or_gone_is_made_anew_and_said(self):
        rows = ROWS // 20
        self.job(rows=rows)
        self.place("lmdb:state")
        self.run_json()
        path, = self.state("0-*", "data.mdb")
        os.truncate(path, os.path.getsize(path) // 2)
        path, = self.state("1-*", "boot")
        os.unlink(path)
        self.job(rows=2 * rows)
        self.place("lmdb:state")
        _, err = self.finish(self.start())
        self.assertEqual(err.count("state_rebuilt"), 2, err)
        self.assertIn("MDB_CORRUPTED", err)
        self.check_result(2 * rows)
        shutil.rmtree(os.path.join(self.folder.name, "state"))
        self.job(rows=3 * rows)
        self.place("lmdb:state")
        self.run_json()
        self.check_result(3 * rows)

    def test_a_folder_of_another_job_is_refused(self):
        self.job(rows=1000)
        self.place("lmdb:state")
        self.run_json()
        with open(os.path.join(self.folder.name, "other.toml"), "w", encoding="utf-8") as file:
            with open(os.path.join(self.folder.name, "job.toml"), encoding="utf-8") as job:
                file.write(job.read().replace("bids-per-auction", "another")
                           .replace("deep/below", "else").replace("results", "elsewhere"))
        process = subprocess.run([run_jobs.PROGRAM, "run", "other.toml"], cwd=self.folder.name, check=False,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(process.returncode, INPUT)
        self.assertIn("CST_JOB_MISMATCH", process.stderr)
        self.assertIn("belongs to job bids-per-auction", process.stderr)

    def test_a_takeover_leaves_the_first_owners_rows_alone(self):
        self.job(rows=None)
        self.place("lmdb:state")
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.send_signal(signal.SIGSTOP)
        second = self.start("--quiet", "--takeover")
        seen = len(self.manifests())
        self.wait_for(lambda: len(self.manifests()) > seen + 1)
        self.assertEqual(len(self.state("*-*")), 4)
        first.send_signal(signal.SIGCONT)
        _, err = self.finish(first, FENCED)
        self.assertIn("CST_FENCED", err)
        second.send_signal(signal.SIGINT)
        self.finish(second)
        rows = sum(value[0] for value in self.result().values())
        rows = 2 * rows + 1000  # of two readers one may be far ahead
        self.run_json("--rows", str(rows))
        self.assertEqual(sum(value[0] for value in self.result().values()), rows)
        self.assertEqual(len(self.state("*-*")), 2)

    def test_ten_times_as_many_keys_as_the_budget_holds_fit(self):
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(BIG)
        with open(os.path.join(self.folder.name, "rows.csv"), "w", encoding="utf-8") as file:
            file.writelines(f"{key:0200d},{key % 1000}\n" for key in range(BIG_KEYS))
            # And again: these come back from the disk.
            file.writelines(f"{key:0200d},7\n" for key in range(0, BIG_KEYS, 10))
        process = self.start("--json", "--until-caught-up")
        most = 0
        while process.poll() is None:
            most = max(most, memory_of_its_own(process))
            time.sleep(0.02)
        out, err = self.finish(process)
        done = json.loads(out.splitlines()[-1])
        self.assertGreater(BIG_KEYS * 288, 10 * BIG_BUDGET_MIB << 20)
        self.assertLess(most, 5 * BIG_BUDGET_MIB << 20, err)
        self.assertEqual(done["totals"]["aggregates"]["n"], BIG_KEYS + len(range(0, BIG_KEYS, 10)))
        self.assertEqual(done["totals"]["aggregates"]["sum"],
                         sum(key % 1000 for key in range(BIG_KEYS))
                         + 7 * len(range(0, BIG_KEYS, 10)))
        for key, wanted in ((400_000, (2, 7)), (400_001, (1, 1))):
            line = subprocess.run([run_jobs.PROGRAM, "query", "job.toml", "--quiet", "--key", f"{key:0200d}"],
                                  cwd=self.folder.name, check=True, stdout=subprocess.PIPE).stdout
            row = json.loads(line)
            self.assertEqual((row["n"], row["sum"]), wanted)


if __name__ == "__main__":
    run_jobs.main()
