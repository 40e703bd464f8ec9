"""hw/formal/run fails where a proof does not hold, says nothing, or cannot be run as written."""

import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HARNESS = """// thing: cst_thing counts, and stays below 6.
//: prove %(prove)s
//: cover %(cover)s
//: mistake %(mistake)s
`default_nettype none
module thing (input wire logic clk_i, input wire logic rst_ni);
  logic [2:0] count;
  cst_thing u_thing (.clk_i, .rst_ni, .count_o(count));
  (* hierconn *) wire [2:0] \\u_thing.%(wire)s ;
  initial assume (!rst_ni);
  always_comb if (rst_ni) begin
    seen: assert (count == \\u_thing.%(wire)s );
    small: assert (count < 3'd%(bound)d);
    four: cover (count == 3'd4);
  end
endmodule
`default_nettype wire
"""
MODULE = """// cst_thing: a counter from 0 to 4.
`default_nettype none
module cst_thing (
  input wire logic clk_i, input wire logic rst_ni, output logic [2:0] count_o);
  logic [2:0] count_q;
  assign count_o = count_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) count_q <= 3'd0;
    else count_q <= (count_q == 3'd4) ? 3'd0 : count_q + 3'd1;
  end
endmodule
`default_nettype wire
"""
GOOD = {"prove": "bounded 9", "cover": "8", "bound": 6, "wire": "count_q",
        "mistake": "six in cst_thing: count_q == 3'd4 ==> count_q == 3'd6"}


@unittest.skipUnless(shutil.which("yosys-smtbmc") and shutil.which("z3"), "no yosys or no z3")
class Formal(unittest.TestCase):
    def run_proof(self, *arguments, **changed):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("hw/formal/thing.sv", HARNESS % dict(GOOD, **changed)),
                               ("hw/rtl/a/cst_thing.sv", MODULE)):
                os.makedirs(os.path.dirname(os.path.join(folder, name)))
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run([os.path.join(ROOT, "hw/formal/run"), "--root", folder,
                                     *arguments], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, text=True, check=False)
            kept = [os.path.join(path, name) for path, _, names in os.walk(folder)
                    for name in names if name.endswith(".vcd") and "six" not in path
                    and "cover" not in name]
            return result.returncode, result.stdout, kept

    def test_what_holds_is_proved_covered_and_its_mistake_noticed(self):
        status, text, _ = self.run_proof("thing")
        self.assertEqual(status, 0, text)
        for part in ("proved", "reached", "noticed: small  six"):
            self.assertIn(part, text)

    def test_what_does_not_hold_fails_and_leaves_a_trace(self):
        status, text, kept = self.run_proof("thing", bound=4)
        self.assertEqual(status, 1)
        self.assertIn("fails: small", text)
        self.assertEqual(len(kept), 1)
        self.assertIn(kept[0], text)

    def test_what_holds_from_reset_alone_is_no_induction(self):
        status, text, _ = self.run_proof("thing", prove="induction 2", bound=7)
        self.assertEqual(status, 1)
        self.assertIn("fails: small", text)

    def test_a_cover_that_is_out_of_reach_fails(self):
        status, text, _ = self.run_proof("thing", cover="3",
                                         mistake=GOOD["mistake"].replace("6", "1"))
        self.assertEqual(status, 1)
        self.assertIn("unreached", text)

    def test_a_mistake_that_is_not_noticed_fails(self):
        status, text, _ = self.run_proof(
            "thing", mistake="five in cst_thing: count_q == 3'd4 ==> count_q == 3'd3")
        self.assertEqual(status, 1)
        self.assertIn("unnoticed", text)

    def test_what_a_test_makes_smaller_is_as_it_is_without(self):
        smaller = "bounded 9\n//: quick cst_thing: + 3'd1 ==> + 3'd0"
        self.assertEqual(self.run_proof("thing", prove=smaller)[0], 0)
        status, text, _ = self.run_proof("--quick", "thing", prove=smaller)
        self.assertEqual(status, 1)
        self.assertIn("unreached", text)

    def test_a_text_that_is_not_there_is_an_error(self):
        for mistake in ("x in cst_thing: count_q == 3'd9 ==> 1", "x in cst_thing: count_q ==> 1",
                        "x in cst_other: count_q == 3'd4 ==> 1", "nonsense"):
            status, text, _ = self.run_proof("thing", mistake=mistake)
            self.assertEqual(status, 2, text)

    def test_without_mistakes_the_source_may_be_another_one(self):
        gone = "x in cst_thing: count_q == 3'd9 ==> 1"
        status, text, _ = self.run_proof("--mistakes", "0", "thing", mistake=gone)
        self.assertEqual(status, 0, text)
        self.assertEqual(self.run_proof("--mistakes", "0", "thing", mistake=gone, bound=4)[0], 1)

    def test_a_wire_that_is_not_inside_is_an_error(self):
        status, text, _ = self.run_proof("thing", wire="count_d")
        self.assertEqual(status, 2, text)

    def test_one_mistake_alone(self):
        status, text, _ = self.run_proof("thing", "--mistake", "six")
        self.assertEqual((status, len(text.splitlines())), (0, 1), text)
        self.assertEqual(self.run_proof("thing", "--mistake", "seven")[0], 2)

    def test_a_proof_that_is_not_there_is_named(self):
        status, text, _ = self.run_proof("no_such")
        self.assertEqual(status, 2)
        self.assertIn("there is no proof no_such", text)


if __name__ == "__main__":
    unittest.main()
