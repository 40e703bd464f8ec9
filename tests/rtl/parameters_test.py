"""Every parameter in hw/rtl has a range: a value outside of it is refused, with its name."""

import concurrent.futures
import glob
import os
import re
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A module, and values that it must refuse. Those of one line are refused together.
REFUSED = [
    ("cst_arbiter_fixed", {"Ports": 0}),
    ("cst_arbiter_fixed", {"Ports": 65}),
    ("cst_arbiter_round", {"Ports": 65}),
    ("cst_axi_read", {"DataBytes": 2, "BurstBeats": 0, "BufferBeats": 1025, "Outstanding": 1,
                      "BeatsBits": 10}),
    ("cst_axi_read", {"DataBytes": 256, "BurstBeats": 257, "BufferBeats": 256, "Outstanding": 257,
                      "BeatsBits": 33}),
    ("cst_axi_read_guard", {"AddressBits": 12, "SilenceBits": 3, "OwedBits": 0}),
    ("cst_axi_read_guard", {"AddressBits": 65, "SilenceBits": 33, "OwedBits": 17}),
    ("cst_axi_split", {"DataBytes": 24, "BurstBeats": 0, "BeatsBits": 10}),
    ("cst_axi_split", {"DataBytes": 256, "BurstBeats": 257, "BeatsBits": 33}),
    ("cst_axi_write", {"DataBytes": 2, "BurstBeats": 0, "Outstanding": 1, "BeatsBits": 10}),
    ("cst_axi_write", {"DataBytes": 256, "BurstBeats": 257, "Outstanding": 257, "BeatsBits": 33}),
    ("cst_axi_write_guard", {"AddressBits": 12, "DataBytes": 2, "SilenceBits": 3, "OwedBits": 0}),
    ("cst_axi_write_guard", {"AddressBits": 65, "DataBytes": 24, "SilenceBits": 33,
                             "OwedBits": 17}),
    ("cst_axil_control", {"ArgWords": 0, "StatusWords": 0}),
    ("cst_axil_control", {"ArgWords": 257, "StatusWords": 257}),
    ("cst_crc32c", {"Bytes": 4}),
    ("cst_crc32c", {"Bytes": 24}),
    ("cst_fifo", {"Width": 0, "Depth": 1}),
    ("cst_fifo", {"Depth": 1025}),
    ("cst_kernel_commands", {"PollClocks": 0}),
    ("cst_kernel_commands", {"PollClocks": 65536}),
    ("cst_kernel_late", {"Depth": 1}),
    ("cst_kernel_late", {"Depth": 1025}),
    ("cst_kernel_core", {"SilenceBits": 3, "PollClocks": 0, "KeySetBits": 0, "LineSetBits": 14}),
    ("cst_kernel_state", {"SilenceBits": 33, "PollClocks": 65536, "KeySetBits": 17,
                          "LineSetBits": 14}),
    ("cst_merge", {"Ports": 65, "Width": 0}),
    ("cst_merge", {"Stride": 31}),
    ("cst_siphash", {"KeyBytes": 7, "MetaBits": 0}),
    ("cst_siphash", {"KeyBytes": 12, "MetaBits": 4097}),
    ("cst_siphash", {"KeyBytes": 256}),
    ("cst_siphash_stream", {"KeyBytes": 256}),
    ("cst_siphash_stream", {"MetaBits": 0}),
    ("cst_siphash_stream", {"MetaBits": 4097}),
    ("cst_skid", {"Width": 0}),
    ("cst_state", {"KeySetBits": 0, "KeyWays": 3, "KeyIds": 1, "LineSetBits": 14, "LineWays": 1,
                   "LineIds": 1025, "OpDepth": 1, "RowBits": 0, "RowDepth": 1025,
                   "SilenceBits": 3}),
    ("cst_state_channel", {"SilenceBits": 3}),
    ("cst_state_directory", {"RowBits": 1, "Depth": 1}),
    ("cst_state_directory", {"RowBits": 11, "Depth": 1025}),
    ("cst_state_fetch", {"KeySetBits": 17, "KeyWays": 3, "KeyIds": 1, "LineSetBits": 14,
                         "LineWays": 1, "LineIds": 1025}),
    ("cst_state_fetch", {"LineSetBits": 0}),
    ("cst_state_pins", {"Answers": 0}),
    ("cst_state_pins", {"Answers": 4}),
    ("cst_state_ram", {"Width": 0, "AddressBits": 0}),
    ("cst_state_ram", {"AddressBits": 17}),
    ("cst_state_table", {"SetBits": 0, "Ways": 3, "Ids": 1, "TagBits": 0}),
    ("cst_state_memory", {"SilenceBits": 33}),
    ("cst_state_table", {"SetBits": 17, "Ways": 128, "Ids": 1025, "TagBits": 257}),
    ("cst_state_table", {"MatchBits": 65}),
    ("cst_state_table", {"MatchBits": 0}),
]
# By whom, under which name, where that is not the module's own parameter.
NAMES = {"KeySetBits": "SetBits", "KeyWays": "Ways", "KeyIds": "Ids", "LineWays": "Ways",
         "LineIds": "Ids", "OpDepth": "Depth", "RowDepth": "Depth"}


def source(module):
    return glob.glob(os.path.join(ROOT, "hw/rtl/*", module + ".sv"))[0]


def elaborated(module, values):
    packages = sorted(glob.glob(os.path.join(ROOT, "hw/rtl/*/cst_*_pkg.sv")))
    result = subprocess.run(
        ["verilator", "--lint-only", "-Wno-lint", "-Wno-style", "--no-timing",
         os.path.join(ROOT, "hw/rtl/lint.vlt"), os.path.join(ROOT, "hw/rtl/common/cst_pkg.sv"),
         *packages, source(module), "--top-module", module,
         *[word for folder in sorted(glob.glob(os.path.join(ROOT, "hw/rtl/*/")))
           for word in ("-y", folder)],
         *[f"-G{name}={value}" for name, value in values.items()]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


class Parameters(unittest.TestCase):
    def test_each_has_values_that_are_refused(self):
        listed = {(module, name) for module, values in REFUSED for name in values}
        for path in sorted(glob.glob(os.path.join(ROOT, "hw/rtl/*/*.sv"))):
            module = os.path.splitext(os.path.basename(path))[0]
            with open(path, encoding="utf-8") as file:
                names = re.findall(r"^ *parameter int unsigned (\w+)", file.read(), re.M)
            for name in names:
                self.assertIn((module, name), listed, "no value is known to be refused")

    def test_a_value_outside_of_the_range_is_refused_by_name(self):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda run: elaborated(*run), REFUSED))
        for (module, values), (status, text) in zip(REFUSED, results):
            self.assertNotEqual(status, 0, module)
            for name, value in values.items():
                said = rf"cst_\w+: {NAMES.get(name, name)} {value}, must be"
                self.assertRegex(text, said, f"{module}: {name} {value}")


if __name__ == "__main__":
    unittest.main()
