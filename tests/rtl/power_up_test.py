#!/usr/bin/env python3
# usage: tests/rtl/power_up_test.py FOLDER [BENCH[/CASE]…]
# FOLDER has the benches, test.rtl.…; without names those of BENCHES are run.
"""What a module does, and in which clock, does not hang on what its registers and memories hold at power-up."""

import os
import re
import subprocess
import sys
import unittest

FOLDER = ""
VALUES = ("1", "2")
# Those with memories or registers that no reset reaches.
BENCHES = ["codec.encode", "common.axi_read", "common.axi_write", "common.crc32c", "common.fifo",
           "common.merge", "kernel.handshakes", "kernel.upkeep", "state.lines", "state.pins", "state.table",
           "state.state/random_streams_leave_the_bytes_of_the_reference",
           "state.state/a_reset_at_any_clock_leaves_a_unit_that_works",
           "state.state/a_walk_reads_ahead_of_what_it_offers"]


def ends(bench, value):
    """(case, the ends of its models) of a bench with such values."""
    name, _, case = bench.partition("/")
    result = subprocess.run([os.path.join(FOLDER, "test.rtl." + name), *filter(None, [case])],
                            env=dict(os.environ, CST_POWER_UP=value), stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{bench}, power-up {value}:\n{result.stdout[-3000:]}")
    return re.findall(r"end: clock.*|^\w+ +ok$", result.stdout, re.M)


class PowerUp(unittest.TestCase):
    def test_benches_end_in_the_same_clock_whatever_is_there_at_power_up(self):
        for bench in sys.argv[1:] or BENCHES:
            with self.subTest(bench):
                first, second = (ends(bench, value) for value in VALUES)
                self.assertRegex("\n".join(first), r"end: clock [1-9]")
                for before, now in zip(first, second, strict=True):
                    self.assertEqual(before, now, f"power-up {' and '.join(VALUES)}")

    def test_a_module_that_hangs_on_them_is_noticed(self):
        first, second = (ends("common.power_up", value) for value in VALUES)
        self.assertNotEqual(first, second)


if __name__ == "__main__":
    FOLDER = sys.argv.pop(1)
    unittest.main(argv=sys.argv[:1])
