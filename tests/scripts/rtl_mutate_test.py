"""scripts/rtl-mutate breaks what it should and leaves the rest; each entry of hw/mutate/survivors is of
a breakage that it can still make."""

import importlib.machinery
import importlib.util
import os
import shutil
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "scripts/lib"))
import mutation  # noqa: E402  found by the line before

LOADER = importlib.machinery.SourceFileLoader("rtl_mutate", os.path.join(ROOT, "scripts/rtl-mutate"))
SPEC = importlib.util.spec_from_loader("rtl_mutate", LOADER)
rtl_mutate = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(rtl_mutate)

MODULE = """// cst_one: no && here
`default_nettype none
module cst_one #(
  parameter int unsigned Depth = 4
) (
  input wire logic a_i
);
  if (Depth < 2 || Depth > 9) begin : g_depth
    $error("cst_one: Depth %0d", Depth);
  end
  localparam int unsigned Bits = Depth + 1;
  logic take;
  assign take = a_i && ready_q;
  cst_two u_two (.clk_i, .in_valid_i(a_i && !stop), .out_o(out && a));
  always_ff @(posedge clk_i) begin
    if (a_i <= b_i) count_q <= count_q + 1'b1;
    for (int unsigned i = 0; i < Depth; i++) kept_q[i] <= a_i;
    if (!rst_ni) begin
      count_q <= '0;
    end
  end
`ifdef CST_ASSERT
  always_ff @(posedge clk_i) assert (!take || a_i);
`endif
endmodule
"""


def changes(text):
    """What can be broken in a source: (kind, before, after)."""
    mutation.source_of.cache_clear()
    rtl_mutate.source_of = lambda name: text
    try:
        return {(mutant.kind, text[mutant.start:mutant.end].strip(), mutant.text.strip())
                for mutant in rtl_mutate.mutants_of("hw/rtl/one/cst_one.sv")}
    finally:
        rtl_mutate.source_of = mutation.source_of


class RtlMutate(unittest.TestCase):
    @unittest.skipUnless(shutil.which("yosys-smtbmc") and shutil.which("z3"), "no yosys or no z3")
    def test_a_proof_notices_what_no_bench_does(self):
        skid = rtl_mutate.mutants_of("hw/rtl/common/cst_skid.sv")
        wrong, = [mutant for mutant in skid if mutation.change(mutant) == "front_moves && !spare_empty_q -> 1'b1"]
        self.assertEqual(rtl_mutate.proof_notices(wrong), "hw/formal skid")
        same = wrong._replace(text="!spare_empty_q && front_moves")
        self.assertEqual(rtl_mutate.proof_notices(same), "")

    def test_expressions_are_broken_in_every_way(self):
        found = changes(MODULE)
        for wanted in [("handshake", "a_i && ready_q", "ready_q"), ("logic", "&&", "||"),
                       ("comparison", "<=", "<"), ("condition", "a_i <= b_i", "1'b1"),
                       ("arithmetic", "+", "-"), ("constant", "1'b1", "1'b0"),
                       ("width", "count_q + 1'b1", "((count_q + 1'b1) << 1) >> 1"),
                       ("reset value", "'0", "'1"), ("reset value", "'0", "count_q"),
                       ("handshake", "a_i && !stop", "a_i")]:
            self.assertIn(wanted, found)

    def test_parameters_checks_outputs_and_assertions_are_left(self):
        befores = {before for _, before, _ in changes(MODULE)}
        for left in ("out && a", "Depth < 2 || Depth > 9", "!take || a_i", "i < Depth"):
            self.assertFalse(any(left in before for before in befores), left)

    def test_a_source_behind_switches_keeps_its_lines(self):
        rtl_mutate.source_of = lambda name: MODULE
        try:
            mutants = rtl_mutate.mutants_of("hw/rtl/one/cst_one.sv")
            text = rtl_mutate.switched("hw/rtl/one/cst_one.sv", dict(enumerate(mutants, 1)))
        finally:
            rtl_mutate.source_of = mutation.source_of
        self.assertEqual(text.count("\n"), MODULE.count("\n"))
        self.assertEqual(text.count("cst_mutant_pkg::chosen"), len(mutants))

    def test_every_survivor_is_one_that_can_be_drawn(self):
        for name, line, change in rtl_mutate.survivors():
            drawn = {(mutation.line_of(name, mutant.line), mutation.change(mutant))
                     for mutant in rtl_mutate.mutants_of(name)}
            self.assertTrue((line, change) in drawn,
                            f"{name}: {line}: {change}: hw/mutate/survivors names what is gone")


if __name__ == "__main__":
    unittest.main()
