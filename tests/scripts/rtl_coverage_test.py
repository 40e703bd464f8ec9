"""scripts/rtl-coverage fails for a point that no bench reaches, for too few lines, for what nobody counts,
and for a waiver that is not needed; it tells a queue from another by its place."""

import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = os.path.join(ROOT, "scripts/rtl-coverage")
MODULE = """module cst_one;
  always_ff @(posedge clk_i) begin
    if (a_i) count_q <= 1;
    if (b_i) count_q <= 2;
  end
endmodule
"""
PAGE = """## Points

Of a queue, its place in the circuit stands before its points.

**cst_one**: full, reset while full.

## Waived
"""


def line(lines, reached, file="hw/rtl/common/cst_one.sv", branch="if"):
    return f"/tree/{file}\t{lines.split('-')[0]}\t5\tline\t{branch}\t{lines}\t{reached}\n"


def point(place, reached, file="hw/cover/common/cst_one_cover.sv"):
    return f"/tree/{file}\t9\t5\tpoint\t{place}\t9\t{reached}\n"


class Coverage(unittest.TestCase):
    def setUp(self):
        self.tree = tempfile.TemporaryDirectory()
        self.write("hw/rtl/common/cst_one.sv", MODULE)
        self.write("hw/cover/common/cst_one_cover.sv", "")
        self.write("docs/hardware/coverage.md", PAGE)

    def tearDown(self):
        self.tree.cleanup()

    def write(self, name, text):
        name = os.path.join(self.tree.name, name)
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, *programs, benches=("test.one",)):
        """What it says of programs that left these lines, and whether it is content."""
        for number, text in enumerate(programs):
            self.write(f"counts/test.one+{number}.points", text)
        result = subprocess.run([sys.executable, "-B", SCRIPT, "--root", self.tree.name, "--check",
                                 os.path.join(self.tree.name, "counts"), *benches],
                                stdout=subprocess.PIPE, text=True, check=False)
        return result.returncode == 0, result.stdout

    GOOD = line("3", 1) + line("4", 1) + line("2", 1, branch="block") + \
        point(".cst_one.u_cover.full", 1) + point(".cst_one.u_cover.reset_while_full", 1)

    def test_all_that_is_reached_is_enough(self):
        self.assertEqual(self.check(self.GOOD),
                         (True, "rtl-coverage: 100% of 3 lines, all points: 2, 0 of them waived\n"))

    def test_programs_are_taken_together(self):
        without = self.GOOD.replace("if\t4\t1", "if\t4\t0")
        other = self.GOOD.replace("if\t3\t1", "if\t3\t0").replace("full\t9\t1", "full\t9\t0")
        self.assertTrue(self.check(without, other)[0])

    def test_a_point_that_is_not_reached_fails(self):
        fine, text = self.check(self.GOOD.replace("reset_while_full\t9\t1", "reset_while_full\t9\t0"))
        self.assertFalse(fine)
        self.assertIn("cst_one: reset_while_full: no bench reaches it", text)

    def test_a_reason_waives_a_point(self):
        self.write("hw/cover/waived", "# why\npoint cst_one reset_while_full\n  why  Never full.\n")
        counts = self.GOOD.replace("reset_while_full\t9\t1", "reset_while_full\t9\t0")
        self.write("docs/hardware/coverage.md", PAGE.replace(
            "full, reset while full.", "full. Not reached: reset while full."))
        self.assertEqual(self.check(counts), (
            True, "rtl-coverage: 100% of 3 lines, all points: 2, 1 of them waived\n"))

    def test_a_waiver_of_what_is_reached_fails(self):
        self.write("hw/cover/waived", "point cst_one full\n  why  Never full.\n")
        fine, text = self.check(self.GOOD)
        self.assertFalse(fine)
        self.assertIn("point cst_one full: is reached, or is not there", text)

    def test_a_waiver_without_a_reason_fails(self):
        self.write("hw/cover/waived", "point cst_one full\n")
        self.assertFalse(self.check(self.GOOD)[0])

    def test_too_few_lines_fail(self):
        fine, text = self.check(self.GOOD.replace("if\t4\t1", "if\t4\t0"))
        self.assertFalse(fine)
        self.assertIn("2 of 3 lines are reached, less than 95%: hw/rtl/common/cst_one.sv:4", text)

    def test_a_line_is_reached_when_all_of_it_is(self):
        self.assertFalse(self.check(self.GOOD + line("4", 0, branch="else"))[0])

    def test_a_reason_waives_a_line(self):
        self.write("hw/cover/waived",
                   "line hw/rtl/common/cst_one.sv if (b_i) count_q <= 2;\n  why  Not b.\n")
        self.assertTrue(self.check(self.GOOD.replace("if\t4\t1", "if\t4\t0"))[0])

    def test_a_bench_that_left_nothing_fails(self):
        fine, text = self.check(self.GOOD, benches=("test.one", "test.two"))
        self.assertFalse(fine)
        self.assertIn("test.two left nothing", text)

    def test_a_module_that_is_in_no_model_fails(self):
        self.write("hw/rtl/common/cst_two.sv", MODULE)
        fine, text = self.check(self.GOOD)
        self.assertFalse(fine)
        self.assertIn("hw/rtl/common/cst_two.sv: in no model that counts its lines", text)

    def test_a_checker_that_is_in_no_model_fails(self):
        self.write("hw/cover/common/cst_two_cover.sv", "")
        fine, text = self.check(self.GOOD)
        self.assertFalse(fine)
        self.assertIn("hw/cover/common/cst_two_cover.sv: in no model", text)

    def test_the_page_has_the_points_that_there_are(self):
        fine, text = self.check(self.GOOD + point(".cst_one.u_cover.empty", 1))
        self.assertFalse(fine)
        self.assertIn("docs/hardware/coverage.md has other points", text)

    def test_queues_are_told_by_their_places(self):
        file = "hw/cover/common/cst_fifo_cover.sv"
        self.write(file, "")
        self.write("hw/rtl/state/cst_state.sv", "cst_state_channel u_channel (.clk_i);")
        self.write("hw/rtl/state/cst_state_channel.sv", "cst_state_read_port #(.A(f(1))) u_read (.clk_i);")
        fine, text = self.check(
            self.GOOD + point("TOP.cst_state.u_match.u_new.u_each.full", 1, file)
            + point("TOP.cst_state.g_channel[3].u_channel.u_read.u_row.u_each.full", 0, file)
            + point("TOP.cst_state.g_channel[4].u_channel.u_read.u_row.u_each.full", 1, file)
            + point("TOP.cst_state.g_channel[4].u_channel.u_read.u_out.u_each.full", 0, file)
            + point("TOP.cst_state.u_match.u_again.u_each.full", 0, file))
        self.assertFalse(fine)
        self.assertIn("cst_fifo: match.again full: no bench reaches it", text)
        self.assertIn("cst_fifo: state_read_port.out full: no bench reaches it", text)
        self.assertNotIn("row full: no bench", text)


if __name__ == "__main__":
    unittest.main()
