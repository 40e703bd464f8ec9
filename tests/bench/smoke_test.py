#!/usr/bin/env python3
# usage: tests/bench/smoke_test.py PROGRAM [--peers]
"""Every benchmark at a tiny size: the lines are what docs/interface.md says, whatever the times."""

import json
import math
import subprocess
import sys
import unittest

PROGRAM, PEERS = "", []
SMALL = ["--entries", "1K", "--json"]


def run(*arguments, status=0):
    result = subprocess.run([PROGRAM, "bench", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != status:
        raise AssertionError(f"{arguments}: exit status {result.returncode}, wanted {status}\n"
                             f"{result.stderr}")
    return result.stdout, result.stderr


def lines(*arguments):
    return [json.loads(line) for line in run(*arguments)[0].splitlines()]


def names():
    return [line.split()[0] for line in run("--list")[0].splitlines()]


class Bench(unittest.TestCase):
    def check_time(self, line, prefix=""):
        middle = line[prefix + "ns_per_op"]
        self.assertGreater(middle, 0, line)
        self.assertLessEqual(line[prefix + "min"], middle, line)
        self.assertGreaterEqual(line[prefix + "max"], middle, line)

    def check_line(self, line, group):
        self.assertTrue(line["bench"].startswith(group), line)
        self.assertIn("impl", line)
        self.assertIsInstance(line["params"], dict)
        for value in line.values():
            if isinstance(value, float):
                self.assertTrue(math.isfinite(value), line)
        if "rounds" in line:
            self.assertGreaterEqual(line["rounds"], 5)
            self.check_time(line)
            self.assertAlmostEqual(line["ops_per_s"] * line["ns_per_op"] / 1e9, 1, delta=0.01)
        if "peer_ns_per_op" in line:
            self.check_time(line, "peer_")
            self.assertAlmostEqual(line["ratio"] / (line["peer_ns_per_op"] / line["ns_per_op"]), 1,
                                   delta=0.02)
            self.assertLessEqual(line["ratio_min"], line["ratio_max"])
        if "p99" in line:
            self.assertLessEqual(line["p50"], line["p99"], line)
            self.assertLessEqual(line["p99"], line["max"] * 1.01, line)

    def test_list_says_what_each_is_for(self):
        for line in run("--list")[0].splitlines():
            self.assertGreater(len(line.split()), 3, line)
        self.assertEqual([line["bench"] for line in lines("--list", "--json")], names())

    def test_every_benchmark_runs_and_prints_lines(self):
        for name in names():
            found = lines(name, *SMALL, *PEERS)
            self.assertTrue(found, name)
            for line in found:
                self.check_line(line, name)
            if not PEERS:
                self.assertFalse([line for line in found
                                  if "peer" in line and "::" in line["peer"]], name)

    def test_a_part_of_a_benchmark_can_be_named(self):
        found = {line["bench"] for line in lines("state.miss", *SMALL)}
        self.assertEqual(found, {"state.miss"})

    def test_several_sizes_give_lines_for_each(self):
        found = lines("state.get", "--entries", "500,1_000,2K", "--json")
        self.assertEqual({line["params"]["entries"] for line in found}, {500, 1000, 2000})

    def test_peers_stand_beside_ours(self):
        if not PEERS:
            self.skipTest("built without peers")
        peers = {line["peer"] for line in lines("state.get", *SMALL, *PEERS)}
        self.assertLessEqual({"boost::unordered_flat_map", "absl::flat_hash_map",
                              "RocksDB memtable", "LMDB"}, peers)

    def test_keys_chosen_against_a_peer_slow_it_down_and_not_us(self):
        if not PEERS:
            self.skipTest("built without peers")
        found = [line for line in lines("state.get", "--entries", "16K", "--json", *PEERS)
                 if line["params"]["workload"] == "adversarial"]
        self.assertEqual(len(found), 2)
        for line in found:
            self.assertGreater(line["ratio"], 1.5, line)

    def test_people_get_a_table_and_no_json(self):
        out, _ = run("state.get", "--entries", "1K")
        self.assertIn("state.get", out)
        self.assertNotIn("{", out)

    def test_wrong_usage_is_refused(self):
        self.assertIn("Did you mean 'state'?", run("stat", status=2)[1])
        for wrong in (["state", "--entries", "12Q"], ["state", "--entries", "1"],
                      ["state", "--entries", "1K,"], ["state", "--rounds", "4"],
                      ["state", "--batch", "0"], ["state", "--skew", "-1"], []):
            self.assertIn("CST_USAGE", run(*wrong, status=2)[1])

    def test_a_part_that_is_none_is_refused(self):
        self.assertIn("no part of that name", run("state.gett", *SMALL, status=2)[1])


if __name__ == "__main__":
    PROGRAM, PEERS = sys.argv[1], sys.argv[2:]
    unittest.main(argv=sys.argv[:1])
