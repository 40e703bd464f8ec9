"""hw/synth/netlist.py counts what it says, in small netlists, written by hand as yosys writes them; and
hw/synth/run names a module that is not what was mapped."""

import importlib.machinery
import importlib.util
import os
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "hw/synth"))
import netlist  # noqa: E402  found by the line before

LOADER = importlib.machinery.SourceFileLoader("synth_run", os.path.join(ROOT, "hw/synth/run"))
synth = importlib.util.module_from_spec(importlib.util.spec_from_loader("synth_run", LOADER))
LOADER.exec_module(synth)


def cell(kind, outputs, **pins):
    return {"type": kind, "parameters": {}, "connections": pins,
            "port_directions": {pin: "output" if pin in outputs else "input" for pin in pins}}


def flip_flop(into, out):
    return cell("FDRE", "Q", C=[1], CE=["1"], D=[into], R=["0"], Q=[out])


def lut(into, out):
    return cell("LUT2", "O", I0=[into], I1=["1"], O=[out])


def carry(first, into="0"):
    """Eight bits: what they select from net `first` on, sums from first + 10, carries from first + 20."""
    return cell("CARRY8", ("O", "CO"), CI=[into], CI_TOP=["0"], DI=["0"] * 8,
                S=[first + bit for bit in range(8)], O=[first + 10 + bit for bit in range(8)],
                CO=[first + 20 + bit for bit in range(8)])


def read(cells, names, parts=()):
    netnames = {name: {"bits": bits, "hide_name": 0} for name, bits in names.items()}
    return netlist.Netlist({"cells": cells, "ports": {}, "netnames": netnames}, parts)


class Netlist(unittest.TestCase):
    def test_luts_behind_each_other_are_levels(self):
        one = read({"a": flip_flop(12, 10), "l": lut(10, 11), "m": lut(11, 12)}, {"a_q": [10]})
        path = one.paths()[0]
        self.assertEqual((path.levels, path.luts, path.chains), (2, 2, []))
        self.assertEqual((path.start, path.end), ("a_q", "a_q"))

    def test_a_wide_multiplexer_is_none(self):
        one = read({"a": flip_flop(12, 10), "l": lut(10, 11),
                    "m": cell("MUXF7", "O", I0=[11], I1=["0"], S=["1"], O=[12])}, {"a_q": [10]})
        self.assertEqual(one.paths()[0].levels, 1)

    def test_a_chain_is_what_the_path_runs_through_of_it(self):
        # From the first bit's select to the last carry of the second cell: 16 bits.
        one = read({"a": flip_flop(157, 10), "l": lut(10, 100), "c": carry(100),
                    "d": carry(130, into=127)}, {"a_q": [10]})
        path = one.paths()[0]
        self.assertEqual((path.levels, path.luts, path.chains), (2, 1, [16]))

    def test_a_sum_follows_no_higher_bits(self):
        one = read({"a": flip_flop(110, 107), "c": carry(100)}, {"a_q": [107], "in": [100]})
        self.assertEqual(one.paths()[0].start, "in")  # bit 0 of the sum; a_q selects bit 7

    def test_chains_count_three_levels_for_sixty_four_bits(self):
        self.assertEqual([netlist.chain_levels(bits) for bits in (0, 1, 21, 22, 42, 43, 64, 65)],
                         [0, 1, 1, 2, 2, 3, 3, 4])

    def test_a_read_of_lut_memory_is_a_level_and_a_write_ends_a_path(self):
        memory = cell("RAM64X1D", ("DPO", "SPO"), D=[11], WCLK=[1], WE=[11], DPO=[20], SPO=[21],
                      A0=["0"], DPRA0=[11])
        one = read({"a": flip_flop(20, 10), "l": lut(10, 11), "m.0.1": memory}, {"a_q": [10]})
        self.assertEqual([(path.levels, path.end) for path in one.paths()],
                         [(2, "a_q"), (1, "m (RAM64X1D.D)"), (1, "m (RAM64X1D.DPRA0)"),
                          (1, "m (RAM64X1D.WE)")])
        self.assertEqual(one.resources()["lut"], 3)

    def test_paths_end_and_begin_at_a_part_that_is_not_counted(self):
        one = read({"a": flip_flop(12, 10), "l": lut(10, 11), "m": lut(20, 12),
                    "u_part": cell("cst_part", "out_o", in_i=[11], out_o=[20])},
                   {"a_q": [10], "out": [20]}, parts=["cst_part"])
        self.assertEqual([(path.levels, path.start, path.end) for path in one.paths()],
                         [(1, "out", "a_q"), (1, "a_q", "u_part.in_i")])
        self.assertEqual(one.resources()["lut"], 2)

    def test_a_loop_without_a_register_is_refused(self):
        one = read({"a": flip_flop(12, 10), "l": lut(12, 11), "m": lut(11, 12)}, {"a_q": [10]})
        with self.assertRaisesRegex(netlist.Unreadable, "a combinational loop"):
            one.paths()

    def test_an_unknown_cell_is_refused_by_name(self):
        with self.assertRaisesRegex(netlist.Unreadable, "cell x is a LATCH"):
            read({"x": cell("LATCH", "Q", D=[2], Q=[3])}, {})


class Kept(unittest.TestCase):
    def test_a_part_of_a_sum_has_the_parameters_that_it_was_mapped_with(self):
        files, _ = synth.sources()
        self.assertEqual(synth.defaults("cst_fifo", files), {"Width": 32, "Depth": 16})
        self.assertEqual(synth.defaults("cst_state_pins", files), {"Answers": 2})

    def test_a_module_that_is_not_what_was_mapped_is_named(self):
        files, _ = synth.sources()
        lines = {module: {"module": module, "source": synth.source_of(module, files)}
                 for module in ("cst_skid", "cst_fifo", "cst_state")}
        synth.history = lambda: lines
        self.assertEqual(synth.stale(), [])
        lines["cst_fifo"]["source"] = "0123456789ab"
        self.assertEqual(synth.stale(), ["cst_fifo"])


if __name__ == "__main__":
    unittest.main()
