"""scripts/waves replays what benches print when they fail, and nothing else that a log holds."""

import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Waves(unittest.TestCase):
    def run_script(self, *arguments):
        result = subprocess.run([os.path.join(ROOT, "scripts/waves"), *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                check=False)
        return result.returncode, result.stdout

    def replay(self, log):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(log)
            file.flush()
            return self.run_script("--failed", file.name)

    def test_a_bench_that_is_not_there_is_named(self):
        status, text = self.run_script("rtl.common.no_such", "case")
        self.assertEqual(status, 2)
        self.assertIn("there is no test bench rtl.common.no_such", text)

    def test_each_line_of_a_log_is_replayed_once(self):
        line = "waves: CST_SEED=7 CST_WAVES_FROM=0 scripts/waves rtl.common.no_such a_case\n"
        other = line.replace("no_such", "nor_this")
        status, text = self.replay("seen\n" + line + other + line)
        self.assertEqual(status, 0)
        self.assertEqual(text.count("no test bench rtl.common.no_such"), 1)
        self.assertEqual(text.count("no test bench rtl.common.nor_this"), 1)

    def test_so_are_those_of_the_simulated_card(self):
        status, text = self.replay("waves: CST_SEED=7 CST_WAVES_FROM=9 scripts/waves "
                                   "differential.no_such a_case\n")
        self.assertEqual(status, 0)
        self.assertIn("no test bench differential.no_such", text)

    def test_other_lines_are_not_run(self):
        for line in ("waves: CST_SEED=7 CST_WAVES_FROM=0 scripts/waves rtl.a b; touch /tmp/x\n",
                     "waves: CST_SEED=$(id) CST_WAVES_FROM=0 scripts/waves rtl.common.no_such a\n",
                     "  waves: CST_SEED=7 CST_WAVES_FROM=0 scripts/waves rtl.common.no_such a\n",
                     "all passed\n"):
            self.assertEqual(self.replay(line), (0, ""), line)


if __name__ == "__main__":
    unittest.main()
