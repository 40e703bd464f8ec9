"""scripts/bench-plot draws what the lines say: curves, bars and percentiles, well-formed."""

import json
import os
import subprocess
import tempfile
import unittest
import xml.dom.minidom

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

MARK = "<!-- behind this line: written by scripts/bench-plot -->\n"


def result(entries, ours, peer):
    return {"bench": "state.get", "impl": "constellation",
            "params": {"entries": entries, "key": 16}, "ns_per_op": ours, "min": ours / 2,
            "max": ours * 2, "peer": "some<map>", "peer_ns_per_op": peer, "ratio": peer / ours}


class BenchPlot(unittest.TestCase):
    def draw(self, lines):
        """Draws these lines; returns {file name: text}, each picture parsed."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "state.jsonl"), "w", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))
            with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
                file.write("# Kept\n" + MARK + "old results\n")
            subprocess.run([os.path.join(ROOT, "scripts/bench-plot"), "--data", folder, "--out",
                            folder], check=True, stdout=subprocess.DEVNULL)
            texts = {}
            for name in os.listdir(folder):
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    texts[name] = file.read()
                if name.endswith(".svg"):
                    xml.dom.minidom.parseString(texts[name])
            return texts

    def test_lines_that_differ_in_entries_become_a_curve_each(self):
        texts = self.draw([result(1000000, 20, 40), result(10000000, 30, 60)])
        self.assertEqual(texts["state-get.svg"].count("<polyline"), 2 + 2)  # and their legend
        self.assertIn(">10M<", texts["state-get.svg"])

    def test_one_line_becomes_bars(self):
        texts = self.draw([result(1000000, 20, 40)])
        self.assertEqual(texts["state-get.svg"].count("<rect"), 2)

    def test_percentiles_become_a_curve_over_them(self):
        texts = self.draw([{"bench": "growth", "p50": 20, "p99": 90, "max": 5e6}])
        self.assertIn(">p99<", texts["growth.svg"])

    def test_the_table_has_ratio_and_spread(self):
        texts = self.draw([result(1000000, 20, 40)])
        self.assertIn("| 20 ns (10 ns to 40 ns) | some<map> 40 ns (2.00) |", texts["README.md"])

    def test_a_line_of_other_numbers_has_them_in_the_table(self):
        texts = self.draw([{"bench": "job.turns", "params": {"entries": 1000, "rows": "made"},
                            "checkpoints": 20, "rate_share": 0.95, "impl": "constellation"}])
        self.assertIn("| entries 1K | checkpoints 20, rate_share 0.95 |", texts["README.md"])

    def test_two_peers_of_one_measurement_share_a_row(self):
        other = dict(result(1000000, 20, 10), peer="other")
        text = self.draw([result(1000000, 20, 40), other])["README.md"]
        self.assertIn("some<map> 40 ns (2.00) · other 10 ns (0.50) |", text)

    def test_memory_is_in_bytes(self):
        texts = self.draw([{"bench": "state.memory", "params": {}, "bytes_per_entry": 125.7,
                            "peer": "map", "peer_bytes_per_entry": 150.0, "ratio": 1.19}])
        self.assertIn("125.7 B", texts["state-memory.svg"])
        self.assertIn("map 150 B (1.19)", texts["README.md"])

    def test_series_become_lines_over_time_with_their_bands_and_bound(self):
        texts = self.draw([{"bench": "soak.memory", "params": {"keys": 5}, "seconds": [0, 1, 2],
                            "series": {"memory": [1 << 20, 3 << 20, 2 << 20]},
                            "bands": {"the store fails": [[0.5, 1.5]]}, "bound": 4 << 20}])
        self.assertEqual(texts["soak-memory.svg"].count("<polyline"), 2 + 2)  # and their legend
        self.assertEqual(texts["soak-memory.svg"].count("<rect"), 1)
        self.assertIn("| memory | 1 MiB | 3 MiB |", texts["README.md"])

    def test_offload_keeps_its_fields_and_shows_where_devices_meet(self):
        measured = [{"bench": "offload.measured", "impl": "cpu:", "ns_per_op": 20, "p50_us": us,
                     "params": {"workload": "zipf", "batch": batch}}
                    for batch, us in ((64, 2), (4096, 90))]
        modelled = [{"bench": "offload.modelled", "impl": "sim:", "ns_per_op": 9, "p50_us": us,
                     "cycles": 700, "bound": "PCIe", "simulated": True,
                     "params": {"workload": "zipf", "batch": batch, "launch_us": launch}}
                    for launch in (0, 50) for batch, us in ((64, 20), (4096, 60))]
        texts = self.draw(measured + modelled)
        for words in ("cpu: measured", "sim: model, ring", "sim: model, launch 50 µs"):
            self.assertIn(f">{words}<", texts["offload-alone-zipf.svg"])
        self.assertEqual(texts["offload-alone-zipf.svg"].count("<polyline"), 3 + 3)
        self.assertIn("| sim: | 64 | 50 | 9 | 20 | 700 | PCIe | True |", texts["README.md"])
        self.assertIn("offload-measured-zipf.svg", texts)

    def test_what_stands_before_the_results_is_kept_and_old_results_go(self):
        text = self.draw([result(1000000, 20, 40)])["README.md"]
        self.assertTrue(text.startswith("# Kept\n" + MARK))
        self.assertNotIn("old results", text)

    def test_a_damaged_line_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "a.jsonl"), "w", encoding="utf-8") as file:
                file.write('{"bench": "a"}\n{"ben')
            with open(os.path.join(folder, "README.md"), "w", encoding="utf-8") as file:
                file.write(MARK)
            run = subprocess.run([os.path.join(ROOT, "scripts/bench-plot"), "--data", folder,
                                  "--out", folder], stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(run.returncode, 1)
            self.assertIn("a.jsonl:2", run.stderr)


if __name__ == "__main__":
    unittest.main()
