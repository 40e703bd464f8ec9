#!/usr/bin/env python3
"""xrt: over the emulated card: what it takes and refuses, what it leaves behind, and a card that is killed."""

import glob
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = OPEN_CLOSE = ""
DONE, INPUT, DEVICE = 0, 3, 5
PATIENCE_S = 60
# docs/interface.md's example, with fewer rows, and the memory that it then needs.
BIDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/bids.toml")
SMALLER = (("5_000_000", "{rows}"), ('"1GiB"', '"128MiB"'))
SECTION_XML, SECTION_MEMORY, SECTION_CONNECTIONS, SECTION_KERNELS, SECTION_ZIP = 2, 6, 7, 8, 0
AT_SECTIONS, SECTION_BYTES = 456, 40


def beside(name):
    return os.path.join(os.path.dirname(PROGRAM), name)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def descendants(pid):
    found = [pid]
    for child in found:  # grows while it is walked
        found += children(child)
    return found[1:]


def is_there(pid):
    """Whether it runs: not one that has ended and was not waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def line_of(pipe):
    """A line, and not a byte behind it: communicate() passes by what a buffered reader holds."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(pipe.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode().strip()


class Emulated(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cst-device-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def start(self, *command, units=1, cards=1, card="u55c"):
        """The process, and the folder that it has under /tmp."""
        process = subprocess.Popen(
            [PROGRAM, "device", "emulate", "--units", str(units), "--cards", str(cards), "--card", card, "--", "sh", "-c",
             'dirname "$CST_XCLBIN"; exec "$@"', "sh", *command],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder)
        self.addCleanup(self.end, process)
        return process, line_of(process.stdout)

    def end(self, process):
        if process.poll() is None:
            process.kill()
            process.communicate()
        process.stdout.close()
        process.stderr.close()

    def emulate(self, *command, status=DONE, **surroundings):
        process, folder = self.start(*command, **surroundings)
        out, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status, out + err)
        self.assertFalse(os.path.exists(folder), folder)
        return out, err

    def wait_for(self, what):
        until = time.monotonic() + PATIENCE_S
        while not (seen := what()):
            self.assertLess(time.monotonic(), until, "waited in vain")
            time.sleep(0.02)
        return seen

    def container(self, *arguments, script="#!/bin/sh\nexit 1\n", units=1):
        path = os.path.join(self.folder, "kernel.xclbin")
        simulate = os.path.join(self.folder, "simulate.sh")
        with open(simulate, "w", encoding="ascii") as file:
            file.write(script)
        subprocess.run([beside("constellation-mkxclbin"), "--card", "u55c", "--units", str(units),
                        "--simulate", simulate, *arguments, path], check=True)
        return path

    def mistaken(self, *mistakes):
        """A container whose card does something wrong: constellation-card's words."""
        words = " ".join(mistakes)
        return self.container(script="#!/bin/sh\nunset LD_PRELOAD\n"
                              f"exec '{beside('constellation-card')}' --card u55c --units 1 {words}\n")

    def job(self, rows, device=""):
        path = os.path.join(self.folder, "bids.toml")
        with open(BIDS, encoding="ascii") as file:
            text = file.read()
        for old, new in SMALLER:
            text = text.replace(old, new.format(rows=rows))
        if device:
            text += f"\n[device]\n{device}\n"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def state(self):
        """What the job keeps; the next run begins anew."""
        rows = subprocess.run([PROGRAM, "query", "bids.toml"], check=True, cwd=self.folder,
                              stdout=subprocess.PIPE, text=True).stdout
        subprocess.run(["rm", "-rf", "data", "out"], check=True, cwd=self.folder)
        return rows


class Container(Emulated):
    def sections(self, data):
        count = struct.unpack_from("<I", data, 448)[0]
        found = {}
        for i in range(count):
            kind, _, at, size = struct.unpack_from("<I16s4xQQ", data, AT_SECTIONS + i * SECTION_BYTES)
            found[kind] = data[at:at + size]
        return found

    def test_it_has_all_sections_and_its_own_length(self):
        with open(self.container(units=2), "rb") as file:
            data = file.read()
        sections = self.sections(data)
        self.assertEqual(struct.unpack_from("<Q", data, 304)[0], len(data))
        self.assertEqual(struct.unpack_from("<i", sections[SECTION_MEMORY])[0], 32)
        self.assertEqual(struct.unpack_from("<i", sections[SECTION_KERNELS])[0], 2)
        self.assertEqual(struct.unpack_from("<i", sections[SECTION_CONNECTIONS])[0], 2 * (2 * 2 + 16))
        self.assertIn(b'<arg name="c15"', sections[SECTION_XML])
        self.assertEqual(sections[SECTION_ZIP][:2], b"PK")

    def test_the_library_reads_it(self):
        path = self.container(units=3)
        code = ("import ctypes,sys; x=ctypes.CDLL('libxrt_coreutil.so.2');"
                "f=x.xrtXclbinAllocFilename; f.restype=ctypes.c_void_p; h=f(sys.argv[1].encode());"
                "k=x.xrtXclbinGetNumKernels; k.argtypes=[ctypes.c_void_p];"
                "u=x.xrtXclbinGetNumKernelComputeUnits; u.argtypes=[ctypes.c_void_p];"
                "print(k(h), u(h))")
        out, _ = self.emulate(sys.executable, "-c", code, path)
        self.assertEqual(out.split(), ["1", "3"])

    def test_the_packaging_is_made_of_the_same_description(self):
        vitis = os.path.join(os.path.dirname(BIDS), "../hw/vitis")
        for name, words in (("kernel.xml", ["--kernel-xml"]), ("u50.cfg", ["--link", "u50"]),
                            ("u55c.cfg", ["--link", "u55c"]), ("u280.cfg", ["--link", "u280"])):
            made = subprocess.run([beside("constellation-mkxclbin"), *words], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout
            with open(os.path.join(vitis, name), encoding="ascii") as file:
                self.assertEqual(made, file.read(), name)

    def test_the_same_words_make_the_same_bytes(self):
        with open(self.container(), "rb") as file:
            first = file.read()
        with open(self.container(), "rb") as file:
            self.assertEqual(first, file.read())


class Refused(Emulated):
    def refuse(self, path, why):
        _, err = self.emulate(PROGRAM, "device", "probe", f"xrt:0?xclbin={path}", status=DEVICE)
        self.assertIn(why, err)

    def test_a_container_of_another_kernel(self):
        for damage, why in (("name", "it has no kernel cst_kernel_state"),
                            ("argument", "argument 5 of its kernel is not image at 0x038"),
                            ("bank", "m_axi_c01 of unit 0 is not in the bank behind"),
                            ("control", "its kernel is not started by ap_ctrl_chain")):
            with self.subTest(damage):
                self.refuse(self.container("--damage", damage), why)

    def test_a_damaged_one(self):
        path = self.container()
        with open(path, "rb") as file:
            data = file.read()
        for at, patch, why in ((0, b"x", "it does not begin with xclbin2"),
                               (448, b"\xff", "so many sections do not fit into it"),
                               (AT_SECTIONS + 24, b"\xff\xff\xff\xff", "a section lies outside of it"),
                               (None, b"", "it has another size than it says")):
            with self.subTest(why):
                wrong = bytearray(data if at is not None else data[:-1])
                if at is not None:
                    wrong[at:at + len(patch)] = b"y" if at == 0 else patch
                with open(path, "wb") as file:
                    file.write(wrong)
                self.refuse(path, why)
        with open(path, "wb") as file:
            file.write(data[:100])
        self.refuse(path, "it has not its size")
        missing = os.path.join(self.folder, "missing.xclbin")
        self.refuse(missing, f"{missing}: No such file")

    def test_a_kernel_of_another_version(self):
        self.refuse(self.mistaken("--version", "7"), "its kernel is of version 7, this host of 1")

    def test_names_and_words_that_are_none(self):
        for uri, why in (("xrt:card", "neither an index nor a PCIe address"),
                         ("xrt:00:01.0", "neither an index nor a PCIe address"),
                         ("xrt:0000:00:00.0.0", "neither an index nor a PCIe address"),
                         ("xrt:1", "XRT has no such card"), ("xrt:0000:00:01.0", "XRT has no such card"),
                         ("xrt:0000:65:00.0", "XRT has no such card"),
                         ("xrt:0?start=walk", "start=walk")):
            with self.subTest(uri):
                _, err = self.emulate(PROGRAM, "device", "probe", uri, status=DEVICE)
                self.assertIn(why, err)

    def test_more_queues_than_units(self):
        out, err = self.emulate(PROGRAM, "run", self.job(3000), "--device", "xrt:0", "--quiet",
                                status=INPUT)
        self.assertIn("xrt:0 has 1 units, and each has its queue", out + err)

    def test_without_its_surroundings_it_is_absent_and_says_why(self):
        plain = {name: value for name, value in os.environ.items() if name != "XILINX_XRT"}
        found = subprocess.run([PROGRAM, "device", "list"], env=plain, check=True, text=True,
                               stdout=subprocess.PIPE).stdout
        self.assertRegex(found, r"xrt:0 +not available +.*XILINX_XRT names no folder")
        plain.update(XILINX_XRT="/usr", XCL_EMULATION_MODE="hw_emu")
        probe = subprocess.run([PROGRAM, "device", "probe", "xrt:0"], env=plain, text=True, check=False,
                               stderr=subprocess.PIPE)
        self.assertEqual(probe.returncode, DEVICE)
        self.assertIn("run under constellation device emulate", probe.stderr)


class Emulate(Emulated):
    def test_the_selftest_passes_and_nothing_else_is_said(self):
        out, err = self.emulate(PROGRAM, "device", "selftest", "xrt:0", "--json")
        self.assertEqual(out, '{"uri":"xrt:0","selftest":"ok"}\n')
        self.assertEqual(err, "")

    def test_a_command_has_its_words_and_its_status(self):
        out, _ = self.emulate("sh", "-c", 'echo "$0 $1"; exit 42', "a b", "--units", status=42)
        self.assertEqual(out, "a b --units\n")
        self.emulate("sh", "-c", "kill -9 $$", status=128 + signal.SIGKILL)

    def test_the_offload_benchmark_has_the_hosts_part_and_no_times_of_a_card(self):
        out, _ = self.emulate(PROGRAM, "bench", "offload", "--device", "xrt:0", "--entries", "1K",
                              "--keys", "zipf", "--batch", "64,256", "--json")
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual({line["bench"] for line in lines}, {"offload.device", "offload.host"})
        self.assertIn("no times of a card", lines[0]["times"])
        # Half a beat a row; a command and a completion for them, and for the fence behind.
        self.assertEqual([(line["params"]["batch"], line["to_bytes"], line["from_bytes"])
                          for line in lines[1:] if line["impl"] == "xrt:0"],
                         [(batch, 128 + 32 * batch, 128) for batch in (64, 256)])

    def test_wrong_words_are_refused(self):
        for words, why in ((["--card", "u200", "--", "true"], "none of u50, u55c, u280"),
                           (["--units", "9", "--", "true"], "1 to 8"),
                           (["--cards", "5", "--", "true"], "1 to 4"), ([], "no command")):
            done = subprocess.run([PROGRAM, "device", "emulate", *words], text=True, check=False,
                                  stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 2)
            self.assertIn(why, done.stderr)


class Starts(Emulated):
    """A run that reads a ring, or a run for each command."""

    def selftest(self, path, words, status=DONE):
        return self.emulate(PROGRAM, "device", "selftest", f"xrt:0?xclbin={path}&{words}", status=status)

    def test_both_pass_the_selftest(self):
        for start in ("ring", "run"):
            out, err = self.emulate(PROGRAM, "device", "selftest", f"xrt:0?start={start}", "--json")
            self.assertEqual(out, '{"uri":"xrt:0?start=%s","selftest":"ok"}\n' % start)
            self.assertEqual(err, "")

    def test_a_kernel_whose_registers_are_not_the_hosts_gets_runs(self):
        path = self.mistaken("--hide-arguments", "1")
        self.selftest(path, "timeout_ms=20000")
        _, err = self.selftest(path, "start=ring", status=DEVICE)
        self.assertIn("start=ring: the kernel's registers cannot be written", err)

    def test_a_lost_completion(self):
        path = self.mistaken("--lose-completion", "3")
        _, err = self.selftest(path, "start=run", status=DEVICE)
        self.assertIn("a run ended without its completion", err)
        _, err = self.selftest(path, "start=ring&timeout_ms=300", status=DEVICE)
        self.assertIn("the kernel does not end", err)

    def test_a_run_that_never_ends(self):
        path = self.mistaken("--lose-done", "3")
        _, err = self.selftest(path, "start=run&timeout_ms=300", status=DEVICE)
        self.assertIn("the kernel does not end", err)
        self.selftest(path, "start=ring")


class Cards(Emulated):
    def test_every_kind_has_its_memory_and_works(self):
        for card, mib in (("u50", 256), ("u55c", 512), ("u280", 256)):
            with self.subTest(card):
                out, _ = self.emulate(PROGRAM, "device", "probe", "xrt:0", card=card)
                self.assertIn(f"{16 * mib} MiB, its own", out)
                self.emulate(PROGRAM, "device", "selftest", "xrt:0", card=card)

    def test_one_is_opened_by_its_address(self):
        out, err = self.emulate(OPEN_CLOSE, "2", "xrt:0000:00:01.0", "xrt:0", cards=2)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertEqual(err, "")

    def test_several_cards_at_once(self):
        out, err = self.emulate(OPEN_CLOSE, "2", "xrt:0", "xrt:1", cards=2)
        self.assertEqual(len(out.splitlines()), 2)
        self.assertEqual(err, "")


class Killed(Emulated):
    """Each test begins a job that would run for long."""

    ROWS = 400_000

    def begin(self, device="xrt:0", policy="stop", cards=1):
        job = self.job(self.ROWS, f'policy = "{policy}"')
        process, folder = self.start(PROGRAM, "run", job, "--device", device, "--quiet",
                                     "--until-caught-up", units=2, cards=cards)

        def cards():
            if process.poll() is not None:
                self.fail(process.communicate())
            return [pid for pid in descendants(process.pid)
                    if name_of(pid) == "constellation-c" and self.is_asked(pid)]
        card = self.wait_for(cards)
        return process, folder, card[0]

    @staticmethod
    def is_asked(pid):
        """Whether it has run for a while: the job's rows are with it."""
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return int(file.read().rsplit(")", 1)[1].split()[11]) > 20

    def is_clean(self, folder, pids):
        """Sockets are in the folder. Of shared memory, what is named after it or a process."""
        self.wait_for(lambda: not os.path.exists(folder) and not any(is_there(pid) for pid in pids))
        names = [os.path.basename(folder)] + [str(pid) for pid in pids]
        self.assertEqual([name for name in os.listdir("/dev/shm") if any(word in name for word in names)], [])

    def test_the_card_in_mid_run(self):
        for device in ("xrt:0", "xrt:0?start=run"):
            with self.subTest(device):
                self.card_killed(device)

    def card_killed(self, device):
        process, folder, card = self.begin(device)
        pids = descendants(process.pid)
        os.kill(card, signal.SIGKILL)
        began = time.monotonic()
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DEVICE, err)
        self.assertIn(f"{device}: the card does not answer any more", err)
        self.assertIn("CST_DEVICE_LOST", err)
        self.assertLess(time.monotonic() - began, PATIENCE_S / 2)
        self.is_clean(folder, pids)

    def test_a_card_that_stands_still(self):
        for start in ("ring", "run"):
            with self.subTest(start):
                self.card_stopped(f"xrt:0?timeout_ms=500&start={start}")

    def card_stopped(self, device):
        process, folder, card = self.begin(device)
        pids = descendants(process.pid)
        os.kill(card, signal.SIGSTOP)
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DEVICE, err)
        self.assertIn("CST_DEVICE_LOST", err)
        self.is_clean(folder, pids)

    def test_a_job_goes_on_without_its_card(self):
        process, folder, card = self.begin(policy="stay")
        pids = descendants(process.pid)
        os.kill(card, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, DONE, err)
        self.assertIn("device_lost", err)
        self.is_clean(folder, pids)
        self.is_as_without_a_card()

    def is_as_without_a_card(self):
        without = self.state()
        subprocess.run([PROGRAM, "run", "bids.toml", "--until-caught-up", "--device", "cpu:", "--quiet"],
                       check=True, cwd=self.folder)
        self.assertGreater(len(without.splitlines()), 1000)
        self.assertEqual(without, self.state())

    def test_a_card_that_is_missing_when_its_job_starts_again(self):
        process, folder, card = self.begin("xrt:1", policy="stay", cards=2)
        pids = descendants(process.pid)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        self.is_clean(folder, pids)
        self.assertFalse(is_there(card))
        _, err = self.emulate(PROGRAM, "run", "bids.toml", "--device", "xrt:1", "--quiet", "--until-caught-up")
        self.assertIn("xrt:1: XRT has no such card", err)
        self.is_as_without_a_card()

    def test_the_command(self):
        process, folder, card = self.begin()
        pids = descendants(process.pid)
        command = [pid for pid in pids if card in children(pid)][0]
        os.kill(command, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 128 + signal.SIGKILL)
        self.is_clean(folder, pids)

    def test_emulate_itself(self):
        process, folder, _ = self.begin()
        pids = descendants(process.pid)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        self.is_clean(folder, pids)


class Leaks(Emulated):
    TIMES = 100

    def test_nothing_is_left_of_a_device_that_was_closed(self):
        for start, times in (("ring", self.TIMES), ("run", self.TIMES // 10)):
            with self.subTest(start):
                out, err = self.emulate(OPEN_CLOSE, str(times), f"xrt:0?start={start}")
                counts = [line.split() for line in out.splitlines()]
                self.assertEqual(len(counts), times, err)
                self.assertEqual(counts[-1], counts[1],
                                 "open files, threads, shared memory: the first time loads the library")

    def test_no_socket_and_no_folder_stays_while_the_program_lives(self):
        code = ('"$1" 3 xrt:0 > /dev/null && find /tmp/"$USER" "$SDACCEL_EM_RUN_DIR" -type s -o -name device0'
                ' -o -name "tempFile*"')
        out, _ = self.emulate("sh", "-c", code, "sh", OPEN_CLOSE)
        self.assertEqual(out, "")


class Run(Emulated):
    def result(self):
        lines = []
        for path in glob.glob(os.path.join(self.folder, "out/bids/*.ndjson")):
            with open(path, encoding="ascii") as file:
                lines += file.readlines()
            os.remove(path)
        return sorted(lines)

    def run_on(self, job, device):
        """The job's results, and what it keeps."""
        words = [PROGRAM, "run", job, "--until-caught-up", "--device", device, "--quiet"]
        if device.startswith("xrt:"):
            self.emulate(*words, units=2)
        else:
            subprocess.run(words, check=True, cwd=self.folder)
        return self.result(), self.state()

    # Deltas and images, byte for byte: differential.sim, differential.opencl, device.differential_*.
    def test_a_job_gives_the_same_on_every_device(self):
        job = self.job(2000)
        results, state = self.run_on(job, "cpu:")
        equal = ["cpu:"]
        self.assertGreater(len(results), 1000)
        for device in ("cpu:scalar", "sim:", "opencl:", "xrt:0", "xrt:0?start=run"):
            probe = subprocess.run([PROGRAM, "device", "probe", device], check=False, text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            if device in ("sim:", "opencl:") and probe.returncode == DEVICE:
                print(f"{device} is absent: {probe.stderr.strip()}")
                continue
            with self.subTest(device):
                other_results, other_state = self.run_on(job, device)
                self.assertEqual(other_results, results)
                self.assertEqual(other_state, state)
                equal.append(device)
        print(f"{len(results)} results and what is kept of {len(state.splitlines())} keys are equal on",
              ", ".join(equal))


class Absent(unittest.TestCase):
    """A machine without the vendors' libraries: they are there, but nothing that can be loaded."""

    def test_devices_whose_library_is_missing_are_listed_with_why(self):
        with tempfile.TemporaryDirectory(prefix="cst-device-") as folder:
            for name in ("libxrt_coreutil.so.2", "libOpenCL.so.1"):
                with open(os.path.join(folder, name), "wb"):
                    pass
            hidden = dict(os.environ, LD_LIBRARY_PATH=folder)
            found = subprocess.run([PROGRAM, "device", "list"], env=hidden, check=True, text=True,
                                   stdout=subprocess.PIPE).stdout
            self.assertRegex(found, r"cpu: +available")
            self.assertRegex(found, r"xrt:0 +not available +XRT is not installed: .*libxrt_coreutil")
            self.assertRegex(found, r"opencl: +not available +(OpenCL is not there .*Install|this build has no)")
            for device, why in (("xrt:0", "XRT is not installed"), ("opencl:", "opencl")):
                probe = subprocess.run([PROGRAM, "device", "probe", device], env=hidden, text=True, check=False,
                                       stderr=subprocess.PIPE)
                self.assertEqual(probe.returncode, DEVICE)
                self.assertIn(why, probe.stderr)
            emulate = subprocess.run([PROGRAM, "device", "emulate", "--", "true"], env=hidden, text=True,
                                     check=False, stderr=subprocess.PIPE)
            self.assertEqual(emulate.returncode, DEVICE)
            self.assertIn("XRT is not installed", emulate.stderr)


if __name__ == "__main__":
    PROGRAM, OPEN_CLOSE = sys.argv[1], sys.argv[2]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
