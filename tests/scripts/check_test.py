"""scripts/check finds what it is there to find: each case plants one violation in a small tree."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CLEAN = "// log.h: a log.\nint log_bytes(void);\n"


class Check(unittest.TestCase):
    def findings(self, rule, files):
        """Runs one rule on a tree with these files; returns (exit status, what it printed)."""
        with tempfile.TemporaryDirectory() as tree:
            subprocess.run(["git", "init", "-q", tree], check=True)
            for name, text in files.items():
                path = os.path.join(tree, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            result = subprocess.run([os.path.join(ROOT, "scripts/check"), "--root", tree, rule],
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    check=False)
            return result.returncode, result.stdout

    def refused(self, rule, files, words):
        status, text = self.findings(rule, files)
        self.assertEqual(status, 1, text)
        self.assertIn(words, text)

    def accepted(self, rule, files):
        status, text = self.findings(rule, files)
        self.assertEqual(status, 0, text)

    def test_an_include_down_the_layers_is_refused(self):
        self.refused("layers", {"host/src/codec/a.c": '#include "table/log.h"\n',
                                "host/src/table/log.h": CLEAN},
                     "host/src/codec/a.c:1: codec includes table/log.h of table")

    def test_no_other_way_of_including_goes_down(self):
        for line in ('#include "../table/log.h"', '#  include "../table/log.h" // a log',
                     "#include <table/log.h>"):
            self.refused("layers", {"host/src/codec/a.c": line + "\n",
                                    "host/src/table/log.h": CLEAN}, "which is a lower layer")

    def test_an_include_up_the_layers_is_accepted(self):
        self.accepted("layers", {"host/src/table/a.c": '#include "codec/key.h"\n',
                                 "host/src/codec/key.h": CLEAN})

    def test_a_public_header_of_a_lower_layer_is_refused(self):
        self.refused("layers", {"host/src/codec/a.c": "#include <constellation/log.h>\n",
                                "host/include/constellation/log.h": CLEAN,
                                "host/src/table/log.c": "\n"}, "which is a lower layer")

    def test_a_header_that_does_not_say_what_it_is_for_is_refused(self):
        self.refused("headers", {"host/src/codec/a.h": "int a;\n"}, "host/src/codec/a.h:1")

    KERNEL = ["host/src/device/kernel_map.h", "hw/rtl/kernel/cst_kernel_core.sv", "docs/hardware.md",
              "hw/rtl/kernel/cst_kernel_state.sv", "hw/vitis/kernel.xml", "hw/vitis/u50.cfg",
              "hw/vitis/u55c.cfg", "hw/vitis/u280.cfg", "hw/vitis/link.cfg"]

    def test_a_kernel_that_is_not_its_description_is_refused(self):
        files = {}
        for name in self.KERNEL:
            with open(os.path.join(ROOT, name), encoding="utf-8") as file:
                files[name] = file.read()
        self.accepted("kernel", files)
        for name, old, new, words in (
                (self.KERNEL[0], "0x038, 8, NUMBER", "0x03c, 8, NUMBER", "image, stride is not"),
                (self.KERNEL[0], "VERSION = 1", "VERSION = 2", "Version is not"),
                (self.KERNEL[1], "ArgWords = 14", "ArgWords = 16", "ArgWords is not"),
                (self.KERNEL[1], "args[8*32+12", "args[9*32+12", "argument end is not"),
                (self.KERNEL[4], 'name="c07"', 'name="c7"', "its arguments are not"),
                (self.KERNEL[4], 'port name="m_axi_c03"', 'port name="m_axi_c3"', "its ports are not"),
                (self.KERNEL[6], "m_axi_c01:HBM[1]", "m_axi_c01:HBM[2]", "--link u55c")):
            with self.subTest(words):
                self.refused("kernel", {**files, name: files[name].replace(old, new)}, words)

    def test_unformatted_code_is_refused(self):
        self.refused("format", {"host/src/codec/a.c": "int   a ;\n"}, "clang-format-14 -i")

    def test_a_long_function_is_refused_and_a_reason_accepted(self):
        body = "int f(int a) {\n" + "    a++;\n" * 59 + "    return a;\n}\n"
        self.refused("functions", {"host/src/codec/a.c": body}, "62 lines, more than 60")
        self.accepted("functions", {"host/src/codec/a.c": "// long: one case a line\n" + body})

    def test_sixty_lines_are_accepted(self):
        body = "int f(int a) {\n" + "    a++;\n" * 57 + "    return a;\n}\n"
        self.accepted("functions", {"host/src/codec/a.c": body})

    def test_a_signature_on_two_lines_counts(self):
        body = "static int\nf(int a,\n  int b) {\n" + "    a++;\n" * 57 + "    return b;\n}\n"
        self.refused("functions", {"host/src/codec/a.c": body}, "62 lines")

    def test_no_long_function_hides(self):
        lines = "    a++;\n" * 61
        for head, tail in (("static int f(int a,\n             int b,\n             int c) {\n", "}\n"),
                           ("struct s *f(int a) {\n", "}\n"), ("TEST(f) {\n", "}\n"),
                           ("#if A\nint f(void) {}\n#else\nint f(void) {\n", "}\n#endif\n"),
                           ("#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n", "}\n"),
                           ("enum { A = 1 };\nstatic const int t[] = {1, 2};\nint f(void) {\n", "}\n")):
            self.refused("functions", {"host/src/codec/a.c": head + lines + tail}, "more than 60")
        for head, tail in (("namespace n {\nclass c {\n  void f(int a) const {\n", "}\n};\n}\n"),
                           ("c::c(int a) : a_{a}, b_(a) {\n", "}\n"),
                           ("extern \"C\" {\nint f(int a = 3) {\n", "}\n}\n")):
            self.refused("functions", {"sim/a.cc": head + lines + tail}, "more than 60")
        self.accepted("functions", {"host/src/codec/a.c": "static const int t[] = {\n" +
                                    "    f(1),\n" * 61 + "};\n"})

    def test_asking_the_world_for_time_is_refused_outside_base(self):
        code = "void f(void) { clock_gettime(0, 0); }\n"
        self.refused("world", {"host/src/table/a.c": code}, "clock_gettime")
        self.accepted("world", {"host/src/base/a.c": code})
        self.accepted("world", {"host/src/table/a.c": "// time(NULL) is base's\nint time_us;\n"})

    def test_a_test_that_sleeps_is_refused(self):
        self.refused("world", {"tests/unit/a_test.c": "void f(void) { usleep(3); }\n"}, "usleep")

    def test_unfinished_work_is_refused(self):
        self.refused("unfinished", {"host/src/codec/a.c": "// TO" "DO more\n"}, "do it, or write")
        self.refused("unfinished", {"a.md": "see /ro" "ot/x\n"}, "path of one machine")

    def test_a_link_to_nowhere_is_refused(self):
        self.refused("links", {"a.md": "[b](b.md)\n"}, "a.md:1: b.md leads nowhere")
        self.refused("links", {"a.md": "# One\n[b](#two)\n"}, "no heading #two")
        self.accepted("links", {"a.md": "# One two\n[b](#one-two)\n"})

    def test_a_document_named_in_a_source_must_exist(self):
        self.refused("links", {"host/src/codec/a.c": "// see docs/" "b.md\n"}, "does not exist")

    def test_a_picture_that_is_not_its_lines_is_refused(self):
        mark = "<!-- behind this line: written by scripts/bench-plot -->\n"
        files = {"docs/benchmarks/data/a.jsonl": '{"bench":"a.b","params":{},"ns_per_op":3,"min":2,'
                                                 '"max":4,"peer":"c","peer_ns_per_op":6,"ratio":2}\n',
                 "docs/benchmarks/README.md": mark}
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                with open(os.path.join(folder, os.path.basename(name)), "w", encoding="utf-8") as file:
                    file.write(text)
            subprocess.run([os.path.join(ROOT, "scripts/bench-plot"), "--data", folder, "--out",
                            folder], check=True, stdout=subprocess.DEVNULL)
            for name in ("README.md", "a-b.svg"):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    files["docs/benchmarks/" + name] = file.read()
        self.accepted("plots", files)
        self.refused("plots", dict(files, **{"docs/benchmarks/README.md": mark + "old"}), "README.md")
        self.refused("plots", dict(files, **{"docs/benchmarks/a-b.svg": "<svg/>"}), "a-b.svg")
        self.refused("plots", dict(files, **{"docs/benchmarks/c.svg": "<svg/>"}), "c.svg")

    def test_a_script_without_usage_or_run_bit_is_refused(self):
        self.refused("scripts", {"scripts/a": "#!/bin/sh\nexit 0\n"}, "chmod +x scripts/a")

    def test_a_shell_script_with_a_finding_is_refused(self):
        self.refused("shell", {"scripts/a": "#!/bin/bash\n# usage: a\nrm $1\n"}, "SC2086")

    def test_a_broken_man_page_is_refused(self):
        self.refused("manual", {"packaging/a.1": ".Sh NAME\n.Xx\n"}, "packaging/a.1")

    def test_a_module_that_warns_is_refused_and_a_waiver_needs_a_reason(self):
        package = ("// cst_pkg: nothing.\n`default_nettype none\npackage cst_pkg;\nendpackage\n"
                   "`default_nettype wire\n")
        module = ("// cst_a: nothing.\n`default_nettype none\nmodule cst_a (\n"
                  "  input wire logic a_i,\n%s  input wire logic b_i,\n  output logic c_o\n);\n"
                  "  assign c_o = a_i;\nendmodule\n`default_nettype wire\n")
        off = "  /* verilator lint_off UNUSEDSIGNAL */\n"

        def tree(text):
            return {"hw/rtl/common/cst_pkg.sv": package, "hw/rtl/common/cst_a.sv": text}
        self.refused("rtl", tree(module % ""), "UNUSEDSIGNAL")
        self.refused("rtl", tree(module % off), "say why")
        self.accepted("rtl", tree(module % ("  // b is for a later revision's pinout\n" + off)))
        self.refused("rtl", tree((module % "").replace("input wire logic b_i,", "")
                                 .replace("= a_i", "= undriven").replace("  assign",
                                 "  logic undriven;\n  assign")), "undriven")

    def test_an_unknown_rule_is_wrong_usage(self):
        self.assertEqual(self.findings("nonsense", {})[0], 2)


if __name__ == "__main__":
    unittest.main()
