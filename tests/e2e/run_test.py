#!/usr/bin/env python3
# usage: tests/e2e/run_test.py PROGRAM [Class[.case]]
"""constellation run: jobs as people start, stop, kill and restart them, and what comes out."""

import json
import os
import signal
import subprocess

import run_jobs
from run_jobs import Jobs, DONE, FAILED, INPUT, DEVICE, FENCED, ROWS, UNHURRIED, generated, expected


class Runs(Jobs):
    def test_a_job_ends_when_all_is_read_and_its_output_is_right(self):
        self.job()
        lines = self.run_json()
        done = lines[-1]
        self.assertEqual(done["event"], "done")
        self.assertEqual(done["rows"], ROWS)
        self.assertEqual(done["recovered_from"], 0)
        self.assertTrue(done["caught_up"])
        self.assertGreaterEqual(done["checkpoints"], 1)
        self.assertEqual(done["keys"], len(self.result()))
        metrics = [line["metrics"] for line in lines if line["event"] == "metrics"]
        self.assertIn('constellation_rows_total{partition="1"}', metrics[-1])
        self.check_result()

    def test_a_job_that_is_done_has_nothing_to_do(self):
        self.job()
        self.run_json()
        before = self.parts()
        done = self.run_json("--until-caught-up")[-1]
        self.assertEqual(done["rows"], 0)
        self.assertGreater(done["recovered_from"], 0)
        self.assertEqual(self.parts(), before)

    def test_a_recovery_leaves_a_report(self):
        self.job(rows=ROWS // 2)
        first = self.run_json()
        self.assertNotIn("recovered", [line["event"] for line in first])
        self.job()
        first = self.run_json()  # a newer checkpoint, also where all rows fit into one
        os.truncate(sorted(self.manifests())[-1], 10)
        lines = self.run_json("--accept-repeats")
        report = next(line for line in lines if line["event"] == "recovered")
        self.assertEqual(report["checkpoint"], lines[-1]["recovered_from"])
        self.assertFalse(report["adopted"])
        self.assertGreater(report["objects"], 1)
        self.assertGreater(report["bytes"], 0)
        for phase in ("claim", "read", "restore"):
            self.assertGreater(report[f"{phase}_seconds"], 0, phase)
        self.assertGreaterEqual(report["verify_seconds"], 0)
        self.assertEqual([note["id"] for note in report["skipped"]], [first[-1]["last_checkpoint"]])
        self.assertEqual(report["skipped"][0]["error"], "CST_MANIFEST")
        self.assertIn("manifest-", report["skipped"][0]["text"])

    def test_a_recovery_is_reported_before_the_run_ends(self):
        self.job(rows=None)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.kill()
        first.wait()
        process = self.start("--json")
        for line in process.stdout:
            if json.loads(line)["event"] == "recovered":
                break
        else:
            self.fail("it ended without a report")
        self.assertIsNone(process.poll())

    def test_more_rows_go_on_behind_the_old_ones(self):
        self.job()
        self.run_json("--rows", str(ROWS // 2))
        done = self.run_json()[-1]
        self.assertEqual(done["rows"], ROWS - ROWS // 2)
        self.check_result()

    def test_a_signal_takes_a_last_checkpoint_and_the_job_goes_on_from_it(self):
        self.job(rows=None, more=UNHURRIED)
        process = self.start("--json")
        self.wait_for(self.manifests)
        process.send_signal(signal.SIGINT)
        done = json.loads(self.finish(process)[0].splitlines()[-1])
        self.assertFalse(done["caught_up"])
        self.assertEqual(sum(value[0] for value in self.result().values()), done["rows"])
        total = 2 * done["rows"] + ROWS  # one stripe may be ahead of the other
        again = self.run_json("--rows", str(total))[-1]
        self.assertEqual(again["recovered_from"], done["last_checkpoint"])
        self.assertEqual(again["rows"], total - done["rows"])
        self.check_result(total)

    def test_every_n_rows_gives_that_many_checkpoints(self):
        self.job(every="50_000 rows")
        done = self.run_json()[-1]
        # The cuts are at each split's share; the last checkpoint is the end.
        self.assertIn(done["checkpoints"], range(ROWS // 50_000, ROWS // 50_000 + 3))
        self.check_result()

    def test_one_partition_and_many_give_the_same(self):
        for partitions in (1, 7):
            with self.subTest(partitions):
                self.job(partitions=partitions)
                self.run_json()
                self.check_result()
                self.setUp()

    def test_a_final_table_and_no_progress_on_stdout(self):
        self.job()
        out, _ = self.finish(self.start())
        self.assertIn("all read and committed", out)
        self.assertIn("400,000", out)
        out, err = self.finish(self.start("--quiet"))
        self.assertEqual((out, err), ("", ""))


class Simulated(Jobs):
    """The same rows on the simulated card and on the processor, killed half-way included."""

    ROWS = 6_000

    def setUp(self):
        super().setUp()
        self.need("sim:")

    def test_a_card_gives_what_the_processor_gives(self):
        self.job(rows=self.ROWS, every="1s")
        done = self.run_json("--until-caught-up", "--device", "sim:")[-1]
        self.assertEqual(self.result(), expected(self.ROWS))
        self.assertTrue(done["simulated"])
        self.assertEqual(done["clock_mhz"], 300)
        self.assertGreater(done["cycles"], self.ROWS)

    def test_a_card_whose_memory_fails_says_so_and_what_was_committed_goes_on(self):
        self.job(rows=self.ROWS, every="500 rows", more='[device]\npolicy = "stop"\n')
        self.assertGreater(self.run_json("--rows", "2000", "--device", "sim:")[-1]
                           ["checkpoints"], 0)
        for kind, why in (("slverr", "was answered with an error"),
                          ("silent", "it does not answer")):
            device = f"sim:?error={kind}&error_after=4000"
            _, err = self.finish(self.start("--quiet", "--device", device), DEVICE)
            self.assertIn(f"{device}: memory of the ", err)
            self.assertIn(why, err)
            self.assertIn("CST_DEVICE_LOST", err)
        self.assertGreater(self.run_json("--until-caught-up", "--device", "sim:")[-1]
                           ["recovered_from"], 0)
        self.assertEqual(self.result(), expected(self.ROWS))

    def test_killed_half_way_it_goes_on(self):
        self.job(rows=self.ROWS, every="500 rows")
        process = self.start("--device", "sim:")
        self.wait_for(self.manifests)
        process.kill()
        process.communicate()
        self.assertGreater(self.run_json("--until-caught-up", "--device", "sim:")[-1]
                           ["recovered_from"], 0)
        self.assertEqual(self.result(), expected(self.ROWS))


class OpenCL(Jobs):
    """The same rows on an OpenCL device and on the processor, killed half-way included."""

    ROWS = 8_000

    def setUp(self):
        super().setUp()
        self.need("opencl:")

    def test_a_device_gives_what_the_processor_gives(self):
        self.job(rows=self.ROWS, every="1s")
        self.run_json("--until-caught-up", "--device", "opencl:")
        self.assertEqual(self.result(), expected(self.ROWS))

    def test_killed_half_way_it_goes_on_there_or_on_the_processor(self):
        self.job(rows=self.ROWS, every="1000 rows")
        for _ in range(2):  # the second goes on from the first one's
            process = self.start("--device", "opencl:")
            self.wait_for(self.manifests)
            process.kill()
            process.communicate()
        self.assertGreater(self.run_json("--rows", str(self.ROWS // 2), "--device", "opencl:")[-1]
                           ["recovered_from"], 0)
        self.run_json("--until-caught-up", "--device", "cpu:")
        self.assertEqual(self.result(), expected(self.ROWS))


class Filters(Jobs):
    def test_rows_that_a_filter_drops_are_not_counted_among_the_rest(self):
        self.job(more='[[filter]]\ncolumn = "price"\nop = ">="\nvalue = "5000"\n')
        done = self.run_json()[-1]
        count, sums = 0, {}
        for row in generated(ROWS):
            price = int(row["price"])
            if price < 5000:
                continue
            count += 1
            bids, cents, highest = sums.get(row["auction"], (0, 0, 0))
            sums[row["auction"]] = (bids + 1, cents + price, max(highest, price))
        self.assertEqual(done["filtered"], ROWS - count)
        self.check_equal(self.result(), sums)


class Kills(Jobs):
    def test_killed_again_and_again_it_loses_and_repeats_nothing(self):
        self.job(rows=3 * ROWS, every="20ms", fold="3")
        kills = 0
        for _ in range(8):
            seen = len(self.manifests())
            process = self.start("--quiet")
            self.wait_for(lambda: len(self.manifests()) > seen or process.poll() is not None)
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            kills += 1
        done = self.run_json()[-1]
        self.assertGreater(kills, 1)
        self.assertGreater(done["recovered_from"], 0)
        self.check_result(3 * ROWS)


class Owners(Jobs):
    def test_a_second_run_is_refused_while_the_first_lives(self):
        self.job(rows=None)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        _, err = self.finish(self.start(), FAILED)
        self.assertIn("CST_JOB_RUNNING", err)
        self.assertIn(f"process {first.pid}", err)
        first.send_signal(signal.SIGTERM)
        self.finish(first)

    def test_a_takeover_fences_the_first_off_even_if_it_was_stopped(self):
        self.job(rows=None, more=UNHURRIED)
        first = self.start("--quiet")
        self.wait_for(self.manifests)
        first.send_signal(signal.SIGSTOP)
        second = self.start("--quiet", "--takeover")
        seen = len(self.manifests())
        self.wait_for(lambda: len(self.manifests()) > seen + 2)
        first.send_signal(signal.SIGCONT)
        _, err = self.finish(first, FENCED)
        self.assertIn("CST_FENCED", err)
        second.send_signal(signal.SIGINT)
        self.finish(second)
        rows = sum(value[0] for value in self.result().values())
        total = 2 * rows + ROWS
        self.assertEqual(self.run_json("--rows", str(total))[-1]["rows"], total - rows)
        self.check_result(total)


STREAM = """
[job]
name = "stream"
dir  = "data"
[source]
kind = "generator"
name = "bids"
rows = 20000
[key]
columns = ["auction"]
[[aggregate]]
as = "n"
op = "count"
[sink]
kind = "stdout"
"""


class Streams(Jobs):
    """A sink on stdout, and what else the program is given for streams."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(self.folder.name, "job.toml"), "w", encoding="utf-8") as file:
            file.write(STREAM)

    def shell(self, script):
        """(status, stderr) of a script for which "$@" runs the job to its end."""
        result = subprocess.run(["bash", "-c", script, "bash", run_jobs.PROGRAM, "run", "job.toml",
                                 "--until-caught-up"], cwd=self.folder.name, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        return result.returncode, result.stderr

    def lock_bytes(self):
        return os.path.getsize(os.path.join(self.folder.name, "data", "lock"))

    def test_rows_for_a_closed_stdout_go_nowhere_else(self):
        status, err = self.shell('"$@" >&-')
        self.assertEqual(status, FAILED)
        self.assertIn("sink stdout: Bad file descriptor", err)
        self.assertLess(self.lock_bytes(), 200)
        lines, _ = self.finish(self.start("--quiet"))  # they are still to come
        self.assertEqual(sum(json.loads(line)["n"] for line in lines.splitlines()), 20000)

    def test_words_for_a_closed_stderr_go_nowhere_else(self):
        self.assertEqual(self.shell('"$@" 2>&-')[0], DONE)
        self.assertLess(self.lock_bytes(), 200)

    def test_a_pipe_that_nobody_reads_is_told_of(self):
        status, err = self.shell('"$@" | head -n 2; exit ${PIPESTATUS[0]}')
        self.assertEqual(status, FAILED)
        self.assertIn("sink stdout: Broken pipe", err)

    def test_control_bytes_of_a_name_do_not_reach_the_terminal(self):
        name = "a\033[31m\nb.toml"
        with open(os.path.join(self.folder.name, name), "w", encoding="utf-8") as file:
            file.write("nothing\n")
        for verb in ("run", "check"):
            result = subprocess.run([run_jobs.PROGRAM, verb, name], cwd=self.folder.name, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertEqual(result.returncode, INPUT)
            self.assertIn("a\\x1b[31m\\nb.toml", result.stderr)
            self.assertNotIn("\033", result.stderr)


if __name__ == "__main__":
    run_jobs.main()
