#!/usr/bin/env python3
# usage: tests/e2e/check_test.py PROGRAM [--update]
"""constellation check: each job of tests/e2e/check says what its .txt beside it holds.

--update writes the .txt files anew: read the difference before it goes in."""

import glob
import json
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(HERE, "check")
EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples")
PROGRAM = ""
UPDATE = False


def check(name, *options, folder=JOBS):
    """Exit status, stdout and stderr; the folder's place is not part of them."""
    result = subprocess.run([PROGRAM, "check", name, *options], cwd=folder, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return (result.returncode, result.stdout.decode().replace(folder, "FOLDER"),
            result.stderr.decode().replace(folder, "FOLDER"))


def jobs():
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(JOBS, "*.toml")))


class Check(unittest.TestCase):
    maxDiff = None

    def test_each_job_says_what_it_should(self):
        for name in jobs():
            with self.subTest(name):
                good = name.startswith("good_")
                status, out, err = check(name)
                golden = os.path.join(JOBS, name[:-len("toml")] + "txt")
                if UPDATE:
                    with open(golden, "w", encoding="utf-8") as file:
                        file.write(out + err)
                with open(golden, encoding="utf-8") as file:
                    self.assertEqual(out + err, file.read())
                self.assertEqual(status, 0 if good else 3)
                self.assertEqual(err if good else out, "")

    def test_json_holds_the_same_problems_and_nothing_else(self):
        for name in jobs():
            with self.subTest(name):
                _, text, problems = check(name)
                _, out, _ = check(name, "--json")
                lines = [json.loads(line) for line in out.splitlines()]
                if name.startswith("good_"):
                    self.assertEqual([line["event"] for line in lines], ["good"])
                    self.assertIn(lines[0]["keeps"], text)
                    continue
                self.assertEqual(lines[-1]["event"], "error")
                self.assertEqual(lines[-1]["code"], "CST_CONFIG")
                said = []
                for line in lines[:-1]:
                    self.assertEqual(line["event"], "problem")
                    place = f":{line['line']}:{line['column']}" if line["line"] else ""
                    said.append(f"{line['file']}{place}: {line['what']}")
                self.assertEqual(said, problems.splitlines()[:-1])

    def test_problems_come_in_the_order_of_the_file(self):
        for name in jobs():
            _, out, _ = check(name, "--json")
            places = [(line["line"], line["column"]) for line in map(json.loads, out.splitlines())
                      if line["event"] == "problem"]
            self.assertEqual(places, sorted(places), name)

    def test_what_is_not_there_or_no_file(self):
        status, out, err = check("nothing.toml")
        self.assertEqual((status, out), (4, ""))
        self.assertIn("nothing.toml: No such file", err)
        status, out, err = check(".")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("Is a directory", err)

    def test_bytes_that_are_no_text_are_refused_by_their_place(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "job.toml"), "wb") as file:
                file.write(b"[job]\nname = \"\xff\"\n")
            status, _, err = check("job.toml", folder=folder)
            self.assertEqual(status, 3)
            self.assertTrue(err.startswith("job.toml:2:"), err)

    def test_more_problems_than_are_kept_are_still_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "job.toml"), "w", encoding="utf-8") as file:
                file.writelines(f"[unknown{n}]\n" for n in range(100))
            status, _, err = check("job.toml", folder=folder)
            self.assertEqual(status, 3)
            self.assertIn("job.toml: 104 problems.", err)
            self.assertEqual(len(err.splitlines()), 65)

    def test_the_examples_have_no_problem(self):
        for path in glob.glob(os.path.join(EXAMPLES, "*.toml")):
            with open(path, encoding="utf-8") as file:
                if "[[operator]]" in file.read():
                    continue  # its library is built by its own test
            status, out, err = check(os.path.basename(path), folder=EXAMPLES)
            self.assertEqual((status, err), (0, ""), path)
            self.assertIn("no problem found", out)

    def test_quiet_says_nothing_of_a_good_job(self):
        self.assertEqual(check("good_least.toml", "--quiet"), (0, "", ""))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    PROGRAM = os.path.abspath(sys.argv[1])
    UPDATE = "--update" in sys.argv
    unittest.main(argv=[sys.argv[0]], verbosity=1)
