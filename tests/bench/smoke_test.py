#!/usr/bin/env python3
# usage: tests/bench/smoke_test.py PROGRAM [--peers]
"""Every benchmark at a tiny size: the lines are what docs/interface.md says, whatever the times."""

import atexit
import functools
import glob
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM, PEERS = "", []
SMALL = ["--entries", "1K", "--seconds", "0.02", "--json"]
ROUNDS = 5


@functools.lru_cache(maxsize=None)
def bucket():
    """Arguments for a bucket of a server in this test's hands: tests/s3/hostile, which is not asked
    for anything hostile."""
    server = subprocess.Popen([os.path.join(HERE, "../s3/hostile")], stdout=subprocess.PIPE, text=True)
    atexit.register(server.kill)
    os.environ.update(AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_REGION="us-east-1",
                      CST_S3_CLIENTS="curl")  # the others take a second each to start
    return ("--store", f"s3://bench/here?endpoint=http://127.0.0.1:{int(server.stdout.readline())}")


def run(*arguments, status=0):
    result = subprocess.run([PROGRAM, "bench", *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    if result.returncode != status:
        raise AssertionError(f"{arguments}: exit status {result.returncode}, wanted {status}\n"
                             f"{result.stderr}")
    return result.stdout, result.stderr


def lines(*arguments):
    return [json.loads(line) for line in run(*arguments)[0].splitlines()]


@functools.lru_cache(maxsize=None)
def small(name):
    return lines(name, *SMALL, *PEERS, *(bucket() if name == "s3" else ()))


def names():
    return [line.split()[0] for line in run("--list")[0].splitlines()]


class Bench(unittest.TestCase):
    def check_time(self, line, prefix=""):
        middle = line[prefix + "ns_per_op"]
        self.assertGreater(middle, 0, line)
        self.assertLessEqual(line[prefix + "min"], middle, line)
        self.assertGreaterEqual(line[prefix + "max"], middle, line)

    def check_line(self, line, group):
        self.assertTrue(line["bench"].startswith(group), line)
        self.assertIn("impl", line)
        self.assertIsInstance(line["params"], dict)
        for value in line.values():
            if isinstance(value, float):
                self.assertTrue(math.isfinite(value), line)
        if "rounds" in line:
            self.assertGreaterEqual(line["rounds"], 5)
            self.check_time(line)
            self.assertAlmostEqual(line["ops_per_s"] * line["ns_per_op"] / 1e9, 1, delta=0.01)
        if "peer_ns_per_op" in line:
            self.check_time(line, "peer_")
            self.assertAlmostEqual(line["ratio"] / (line["peer_ns_per_op"] / line["ns_per_op"]), 1,
                                   delta=0.02)
            self.assertLessEqual(line["ratio_min"], line["ratio_max"])
        if "p99" in line:
            self.assertLessEqual(line["p50"], line["p99"], line)
            self.assertLessEqual(line["p99"], line["max"] * 1.01, line)

    def test_list_says_what_each_is_for(self):
        for line in run("--list")[0].splitlines():
            self.assertGreater(len(line.split()), 3, line)
        self.assertEqual([line["bench"] for line in lines("--list", "--json")], names())

    def test_every_benchmark_runs_and_prints_lines(self):
        for name in names():
            found = small(name)
            self.assertTrue(found, name)
            for line in found:
                self.check_line(line, name)
            if not PEERS:
                self.assertFalse([line for line in found
                                  if "peer" in line and "::" in line["peer"]], name)

    def test_a_recovery_out_of_a_bucket_stands_beside_reading_alone(self):
        # A full of more than a MiB: its middle is fetched while its beginning is restored.
        found = [line for line in lines("s3.recovery", *SMALL, "--entries", "20K", *bucket())
                 if line["bench"] == "s3.recovery"]
        self.assertEqual(len(found), 1, found)
        self.check_line(found[0], "s3.recovery")
        self.assertEqual(found[0]["params"]["entries"], 20000)
        self.assertEqual(found[0]["params"]["deltas"], 9)
        self.assertEqual(found[0]["peer"], "the same objects, only read")
        self.assertGreater(found[0]["ratio"], 0)
        self.assertGreaterEqual(found[0]["rounds"], ROUNDS)

    def test_the_circuit_says_what_takes_how_many_cycles(self):
        found = [line for line in small("rtl") if line["impl"] == "circuit"]
        if not found:
            self.skipTest("built without the simulated card")
        rates = {"rtl.encode": ("keys_per_clock", "keys"),
                 "rtl.update": ("updates_per_clock", "rows")}
        for line in found:
            self.assertTrue(line["simulated"], line)
            self.assertEqual(line["clock_mhz"], 300, line)
            self.assertIn("UG1393", line["clock_source"])
            if line["bench"] in rates:
                rate, count = rates[line["bench"]]
                self.assertAlmostEqual(line[rate], line["params"][count] / line["cycles"], delta=1e-3)
        strings = {line["params"]["bytes"]: line["bytes_per_clock"] for line in found
                   if line["params"].get("schema") == "string"}
        self.assertEqual(set(strings), {16, 48, 62})
        self.assertGreater(strings[48], 14)
        updates = [line for line in found if line["bench"] == "rtl.update"]
        whole = [line["params"] for line in updates if line["params"]["channels"] == 16]
        self.assertEqual({(each["workload"], each["entry_bytes"], each["key_bytes"])
                          for each in whole},
                         {(workload, size, 8) for size in (64, 96) for workload in
                          ("uniform", "zipf", "one-key", "two-keys", "adversarial")} |
                         {("uniform", 96, 16), ("uniform", 32, 8)})
        self.assertEqual({(line["params"]["memory"], line["params"]["channels"])
                          for line in updates},
                         {("hbm2", 16), ("hbm2", 8), ("hbm2", 4), ("ddr4", 4)})
        for line in updates:
            # An operation a row, and an end a command; so short a run is filling and draining too.
            self.assertGreaterEqual(line["done"], line["params"]["rows"])
            if line["params"]["channels"] == 16:
                self.assertGreater(line["updates_per_clock"], 0.4, line)
        self.assertEqual([line["updates_per_s"] for line in small("rtl")
                          if line["impl"] == "kv-direct"], [180e6])
        lookups = [line for line in found if line["bench"] == "rtl.lookup"]
        self.assertEqual(len(lookups), 1)
        self.assertLessEqual(lookups[0]["mean"], lookups[0]["target"], lookups[0])
        barriers = [line for line in found if line["bench"] == "rtl.barrier"]
        self.assertEqual(len(barriers), 2)
        for line in barriers:
            self.assertLessEqual(line["min"], line["max"])
        self.assertLess(barriers[0]["max"], 300)

    def test_a_part_of_a_benchmark_can_be_named(self):
        found = {line["bench"] for line in lines("state.miss", *SMALL)}
        self.assertEqual(found, {"state.miss"})

    def test_several_sizes_give_lines_for_each(self):
        found = lines("state.get", "--entries", "500,1_000,2K", "--json")
        self.assertEqual({line["params"]["entries"] for line in found}, {500, 1000, 2000})

    def test_sizes_that_are_none_are_wrong_usage(self):
        for sizes in ("0", "99", "1M,", ",1M", "3G", "18446744074G", "1e6", "1" * 40):
            self.assertIn("--entries", run("hash", "--entries", sizes, status=2)[1], sizes)

    def test_any_schema_has_its_lines(self):
        longest = ",".join(["desc nullable decimal128(38) nulls last"] * 16)
        for schema, canonical in ((longest, longest), ("u8,\t asc  u16", "u8,u16")):
            found = lines("codec", "--schema", schema, *SMALL)
            self.assertIn(canonical, {line["params"]["schema"] for line in found})

    def test_a_schema_that_is_none_is_refused_before_anything_is_measured(self):
        out, err = run("codec", "--schema", "u63", status=3)
        self.assertEqual(out, "")
        self.assertIn("CST_SCHEMA", err)

    def folders(self, process):
        """Where a run keeps what it writes."""
        return [name for parent in ("/dev/shm", "/tmp")
                for name in glob.glob(f"{parent}/constellation-bench-{process.pid}-*")]

    def test_entries_for_which_there_is_no_memory_are_refused_before_any_is_taken(self):
        out, err = run("state.get", "--entries", "2G", "--json", status=1)  # 800 GiB
        self.assertEqual(json.loads(out)["code"], "CST_NO_MEMORY")
        self.assertIn("GiB, and ", err)

    def test_a_run_that_is_cut_short_leaves_nothing_behind(self):
        command = [PROGRAM, "bench", "state", "--entries", "300K", "--json", *PEERS]
        for end in (signal.SIGINT, signal.SIGTERM, "a closed pipe"):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                process.stdout.readline()
                self.assertTrue(self.folders(process), end)
                if end == "a closed pipe":
                    process.stdout.close()
                else:
                    process.send_signal(end)
                self.assertEqual(process.wait(),
                                 -(signal.SIGPIPE if end == "a closed pipe" else end))
                self.assertEqual(self.folders(process), [], end)

    def test_peers_that_use_malloc_have_hugepages(self):
        if not PEERS:
            self.skipTest("built without peers")
        environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
        for given in ({}, {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"}):
            with subprocess.Popen([PROGRAM, "bench", "state", "--entries", "100K", "--json", *PEERS],
                                  stdout=subprocess.PIPE, env=dict(environment, **given)) as process:
                process.stdout.readline()
                with open(f"/proc/{process.pid}/environ", "rb") as file:
                    found = file.read().decode(errors="replace")
                process.terminate()
            for value in ("glibc.malloc.hugetlb=1", *given.values()):
                self.assertIn(value, found)

    def test_pauses_stand_beside_an_empty_loop_of_the_same_processor(self):
        found = lines("growth", "--entries", "150K", "--json")
        for name in ("growth.put", "growth.update"):
            ours, empty = [line for line in found if line["bench"] == name]
            self.assertEqual((ours["impl"], empty["impl"]), ("constellation", "empty loop"))
            self.assertEqual(ours["cpu"], empty["cpu"])
            for line in (ours, empty):
                self.assertEqual(line["ops"], 150_000)
                self.assertLessEqual(line["p99.99"], line["p99.999"])
                self.assertLessEqual(line["p99.999"], line["max"] * 1.01)

    def test_memory_is_told_apart(self):
        for line in small("state"):
            if line["bench"] == "state.memory":
                parts = line["slots_bytes"] + line["index_bytes"] + line["directory_bytes"]
                self.assertAlmostEqual(line["bytes_per_entry"], parts / line["params"]["entries"],
                                       delta=0.1)
                self.assertGreater(line["log_bytes"], 0)

    def test_peers_stand_beside_ours(self):
        if not PEERS:
            self.skipTest("built without peers")
        peers = {line["peer"] for line in lines("state.get", *SMALL, *PEERS)}
        self.assertLessEqual({"boost::unordered_flat_map", "absl::flat_hash_map",
                              "RocksDB memtable", "LMDB"}, peers)

    def test_keys_chosen_against_a_peer_slow_it_down_and_not_us(self):
        if not PEERS:
            self.skipTest("built without peers")
        found = [line for line in lines("state.get", "--entries", "16K", "--json", *PEERS)
                 if line["params"]["workload"] == "adversarial"]
        self.assertEqual(len(found), 2)
        for line in found:
            self.assertGreater(line["ratio"], 1.5, line)

    def test_a_whole_job_stands_beside_its_table_and_beside_a_store(self):
        found = small("job")
        kinds = {(line["params"]["workload"], line["params"]["rows"], line["params"]["sink"])
                 for line in found}
        self.assertEqual(kinds, {(workload, *kind) for workload in ("uniform", "zipf")
                                 for kind in (("generator", "none"), ("made before", "none"),
                                              ("generator", "file"))})
        for workload, rows, sink in kinds:
            of_kind = [line for line in found if (line["params"]["workload"], line["params"]["rows"],
                                                  line["params"]["sink"]) == (workload, rows, sink)]
            peers = {line.get("peer") for line in of_kind if line["bench"] == "job.rate"}
            wanted = {None} if sink == "file" else {"the table's loops alone, rows made before"}
            if PEERS and (rows, sink) == ("generator", "none"):
                wanted.add("RocksDB, merge operator")
            self.assertEqual(peers, wanted, (workload, rows, sink))
            turns, = [line for line in of_kind if line["bench"] == "job.turns"]
            self.assertGreaterEqual(turns["checkpoints"], ROUNDS, turns)
            self.assertGreater(turns["uploaded_mb"], 0, turns)
            self.assertAlmostEqual(turns["rows"] / turns["seconds"] / turns["rows_per_s_a_core"] / 2,
                                   1, delta=0.01)
            latency, = [line for line in of_kind if line["bench"] == "job.latency"]
            self.assertGreaterEqual(latency["ops"] * 4096, turns["rows"], "a block is 4096 rows")

    def test_a_job_has_as_many_partitions_as_asked_for(self):
        for line in lines("job", "--partitions", "1", *SMALL):
            self.assertEqual(line["params"]["partitions"], 1, line)
            if line["bench"] == "job.turns":
                self.assertAlmostEqual(line["rows"] / line["seconds"] / line["rows_per_s_a_core"], 1,
                                       delta=0.01)

    def test_checkpoints_stand_beside_the_same_job_without(self):
        found = small("checkpoint")
        rate, = [line for line in found if line["bench"] == "checkpoint.rate"]
        self.assertEqual(rate["params"]["changed_keys"] * 100, rate["params"]["entries"])
        self.assertEqual(rate["peer"], "the same job without checkpoints")
        self.assertEqual({line["params"]["while"] for line in found
                          if line["bench"] == "checkpoint.latency"},
                         {"a checkpoint is in flight", "between two checkpoints",
                          "no checkpoint is made"})
        flight, = [line for line in found if line["bench"] == "checkpoint.in_flight"]
        self.assertGreaterEqual(flight["checkpoints"], ROUNDS, flight)
        self.assertGreater(flight["flight_share"], 0, flight)
        self.assertLessEqual(flight["flight_share"], 1, flight)
        self.assertAlmostEqual(flight["p99.9_in_flight"] / flight["p99.9_without"] /
                               flight["p99.9_ratio"], 1, delta=0.01)
        self.assertAlmostEqual(flight["rows_per_s_in_flight"] / flight["rows_per_s_without"] /
                               flight["rate_share"], 1, delta=0.01)

    def test_producers_that_wait_share_a_sync(self):
        found = small("wal")
        answers = [line for line in found if line["bench"] == "wal.answer"]
        self.assertEqual([line["params"]["producers"] for line in answers], [1, 8, 64, 512])
        self.assertEqual({line.get("peer") for line in answers}, {"fio" if PEERS else None})
        for line in (line for line in found if line["bench"] == "wal.groups"):
            self.assertGreater(line["answers"], 0)
            self.assertAlmostEqual(line["answers"] / line["syncs"] / line["answers_a_sync"], 1,
                                   delta=0.01)

    def test_producers_stand_beside_clients_of_redis(self):
        found = small("source")
        rates = [line for line in found if line["bench"] == "source.rate"]
        self.assertEqual([line["params"]["producers"] for line in rates], [1, 8, 64])
        self.assertEqual({line.get("peer") for line in rates}, {"Redis streams" if PEERS else None})
        cores = [line for line in found if line["bench"] == "source.core"]
        self.assertEqual([line["params"]["producers"] for line in cores], [1, 8, 64])
        for line in cores:
            self.assertGreaterEqual(line["rows"],
                                    ROUNDS * line["params"]["producers"] * line["params"]["batch"])
            self.assertAlmostEqual(line["rows"] / line["syncs"] / line["rows_a_sync"], 1, delta=0.01)
            self.assertAlmostEqual(line["cpu_ns_per_row"] * line["rows_per_s_a_core"] / 1e9, 1,
                                   delta=0.01)
            self.assertEqual("cpu_ratio" in line, bool(PEERS), line)

    def test_a_bucket_is_written_and_read_beside_other_clients(self):
        found = small("s3")
        for name in ("upload", "download", "put", "get"):
            each = [line for line in found if line["bench"] == f"s3.{name}"]
            clients = {line.get("peer") for line in each} - {None}
            cpu = {line["impl"]: line for line in found if line["bench"] == f"s3.{name}_cpu"}
            self.assertEqual(set(cpu), {"constellation", *clients})
            for line in cpu.values():
                self.assertGreater(line.get("cpu_s_per_gib", line.get("cpu_us_per_object")), 0, line)
            self.assertEqual(any(client.startswith("curl ") for client in clients),
                             bool(PEERS) and shutil.which("curl") is not None)
        send, = [line for line in found if line["bench"] == "s3.send"]
        self.assertGreater(send["cpu_s_per_gib"], 0)
        self.assertGreater(send["crc32c_cpu_s_per_gib"], 0)
        sign, = [line for line in found if line["bench"] == "s3.sign"]
        self.assertEqual(sign["impl"], "constellation")
        recovery, = [line for line in found if line["bench"] == "s3.recovery"]
        self.assertEqual(recovery["peer"], "the same objects, only read")
        server, = [line for line in found if line["bench"] == "s3.server"]
        self.assertIn("If-None-Match", server["found"])
        job, = [line for line in found if line["bench"] == "s3.job"]
        self.assertEqual(job["peer"], "the same job with a folder")
        cost, = [line for line in found if line["bench"] == "s3.job_cpu"]
        for place in ("", "_folder"):
            self.assertGreater(cost["cpu_ns_per_row" + place], 0)
            self.assertGreater(cost["checkpoints" + place], 0)

    def test_a_bucket_is_asked_for(self):
        self.assertIn("--store", run("s3.get", status=2)[1])
        self.assertEqual([line["bench"] for line in lines("s3.sign", *SMALL)], ["s3.sign"])

    def test_windows_stand_beside_the_same_job_without(self):
        found = small("window")
        rate, = [line for line in found if line["bench"] == "window.rate"]
        self.assertEqual(rate["peer"], "the same job without windows")
        turns, = [line for line in found if line["bench"] == "window.turns"]
        self.assertGreaterEqual(turns["checkpoints"], ROUNDS, turns)
        close, = [line for line in found if line["bench"] == "window.close"]
        self.assertGreaterEqual(close["steps"] * close["params"]["rows_a_step"],
                                close["params"]["entries"], close)

    def test_checkpoints_pass_a_channel_that_stands_still(self):
        found = small("unaligned")
        self.assertEqual([line["bench"] for line in found],
                         ["unaligned.first", "unaligned.next", "unaligned.rows", "unaligned.rows"])
        self.assertGreaterEqual(found[0]["count"], ROUNDS, found)
        stalled, free = found[2], found[3]
        self.assertEqual((stalled["params"]["channel"], free["params"]["channel"]),
                         ("stalled", "free"))
        self.assertGreater(stalled["min"], 0, found)

    OFFLOAD = ["offload", "--entries", "1K", "--keys", "zipf", "--batch", "64,1K"]

    def parts(self, line):
        return [line[name] for name in ("host_us", "queue_us", "transfer_us", "encode_us",
                                        "kernel_us", "result_us") if name in line]

    def test_devices_stand_side_by_side_on_the_same_batches(self):
        found = small("offload")
        devices = {line["impl"]: line for line in found if line["bench"] == "offload.device"}
        self.assertEqual(list(devices), ["cpu:", "cpu:scalar", "opencl:", "sim:", "xrt:0"])
        wanted = {(keys, batch) for keys in ("uniform", "zipf", "one-key")
                  for batch in (64, 256)}
        for name, device in devices.items():
            of_it = [line for line in found if line["impl"] == name and
                     line["bench"] in ("offload.measured", "offload.modelled")]
            if not device["available"]:
                self.assertGreater(len(device["why"]), 10, device)
                self.assertEqual(of_it, [])
                continue
            self.assertEqual({(line["params"]["workload"], line["params"]["batch"])
                              for line in of_it}, wanted, name)
            for line in of_it:
                self.assertEqual(line["bench"], f"offload.{device['times']}")
                self.assertLessEqual(line["p50_us"], line.get("p99_us", line["max_us"]))
                self.assertLessEqual(line.get("p99_us", line["max_us"]), line["max_us"])
                self.assertAlmostEqual(line["ops_per_s"] * line["ns_per_op"] / 1e9, 1, delta=0.01)
                if name.startswith("cpu:"):
                    self.assertAlmostEqual(sum(self.parts(line)), line["p50_us"], delta=0.21)
                    self.assertEqual((line["to_bytes"], line["from_bytes"]), (0, 0))
                else:
                    self.assertGreaterEqual(line["to_bytes"], 24 * line["params"]["batch"])
                    self.assertGreaterEqual(len(self.parts(line)), 5)
        break_evens = [line for line in found if line["bench"] == "offload.break_even"]
        for name, count in (("opencl:", 3), ("sim:", 12)):
            self.assertEqual(len([line for line in break_evens if line["impl"] == name]),
                             count if devices[name]["available"] else 0)

    def test_what_no_card_has_run_is_modelled_as_its_inputs_say(self):
        found = [line for line in small("offload") if line["impl"] == "sim:"]
        modelled = [line for line in found if line["bench"] == "offload.modelled"]
        if not modelled:
            self.skipTest("built without the simulated card")
        inputs = {line["impl"]: line["value"] for line in small("offload")
                  if line["bench"] == "offload.input"}
        by_launch = {}
        for line in modelled:
            params, batch = line["params"], line["params"]["batch"]
            self.assertTrue(line["simulated"])
            # Half a beat a row; a command and a completion for them, and for the fence behind.
            self.assertEqual((line["to_bytes"], line["from_bytes"]), (128 + 32 * batch, 128))
            self.assertAlmostEqual(line["kernel_us"], line["cycles"] / line["clock_mhz"], delta=0.06)
            self.assertAlmostEqual(line["transfer_us"], inputs["descriptor_ps"] / 1e6 +
                                   line["to_bytes"] / inputs["to_card_mb_s"], delta=0.06)
            self.assertEqual(line["queue_us"], params["launch_us"])
            by_launch.setdefault((params["workload"], batch), {})[params["launch_us"]] = line
        for lines_of in by_launch.values():
            self.assertEqual(list(lines_of), [0, 20, 50, 100])
            self.assertAlmostEqual(lines_of[100]["p50_us"] - lines_of[0]["p50_us"], 100, delta=0.11)
            self.assertLessEqual(lines_of[100]["ops_per_s"], lines_of[0]["ops_per_s"])
        for line in (line for line in found if line["bench"] == "offload.model"):
            self.assertEqual((line["params"]["row_bytes"], line["crossing_bytes"] // 1), (24, 32))
            unit = min(line["circuit_rows_per_s"], line.get("hbm_rows_per_s", 1e12))
            self.assertAlmostEqual(line["units_fed_by_dma"], line["dma_rows_per_s"] / unit,
                                   delta=0.01)
        for impl, count in (("sim:", 1), ("host alone", 0)):  # commands more than rows ask for
            hosts = [line for line in small("offload")
                     if line["bench"] == "offload.host" and line["impl"] == impl]
            self.assertEqual(len(hosts), 6)
            for line in hosts:
                batch = line["params"]["batch"]
                self.assertEqual(line["to_bytes"], (1 + count) * 64 + 32 * batch)
                self.assertAlmostEqual(line["host_ns_per_row"] * batch, line["host_ns_per_batch"],
                                       delta=0.01 * batch)

    def test_tables_and_lines_say_the_same(self):
        """Of a simulation: its clocks and bytes are the same in every run."""
        arguments = [*self.OFFLOAD, "--device", "sim:"]
        wanted = [line for line in lines(*arguments, "--json")
                  if line["bench"] == "offload.modelled"]
        rows = [row.split() for row in run(*arguments)[0].splitlines()]
        rows = rows[next((at for at, row in enumerate(rows) if row[:1] == ["device"]), 0):]
        if not wanted:
            self.skipTest("built without the simulated card")
        names = " ".join(rows[0])
        self.assertIn("device keys batch launch ns/row rows/s p50 us", names)
        self.assertTrue(names.endswith("B to B from cycles bound"), names)
        table = [row for row in rows[1:] if row[:2] == ["sim:", "zipf"] and row[-1].isalpha()]
        self.assertEqual(
            [tuple(map(float, row[2:4] + row[-4:-1])) for row in table],
            [(line["params"]["batch"], line["params"]["launch_us"], line["to_bytes"],
              line["from_bytes"], line["cycles"]) for line in wanted])

    def test_a_schema_of_ones_own_goes_through_every_device_that_takes_it(self):
        found = lines(*self.OFFLOAD, "--device", "cpu:,sim:", "--schema",
                      "string,desc nullable i32", "--json")
        self.assertEqual([line["params"]["batch"] for line in found
                          if line["bench"] == "offload.measured"], [64, 1000])
        card = next(line for line in found if line["impl"] == "sim:")
        self.assertFalse(card["available"])
        self.assertTrue("bytes" in card["why"] or "sim" in card["why"], card)

    def test_what_offload_cannot_do_is_refused(self):
        for wrong, words in ((["--keys", "zipf,gauss"], "none of uniform, zipf, one-key"),
                             (["--batch", "64,70K"], "batches of 1 to 65536 rows"),
                             (["--batch", ","], "batches of 1 to 65536 rows")):
            self.assertIn(words, run("offload", *wrong, status=2)[1])
        self.assertIn("only offload takes several", run("state", "--batch", "1,2", status=2)[1])
        self.assertIn("CST_DEVICE_URI", run("offload", "--entries", "1K", "--device", "gpu:",
                                            status=5)[1])

    def test_people_get_a_table_and_no_json(self):
        out, _ = run("state.get", "--entries", "1K")
        self.assertIn("state.get", out)
        self.assertNotIn("{", out)

    def test_wrong_usage_is_refused(self):
        self.assertIn("Did you mean 'state'?", run("stat", status=2)[1])
        for wrong in (["state", "--entries", "12Q"], ["state", "--entries", "1"],
                      ["state", "--entries", "1K,"], ["state", "--rounds", "4"],
                      ["job", "--seconds", "0"], ["job", "--partitions", "0"],
                      ["job", "--partitions", "17"], ["state", "--batch", "0"], ["state", "--skew", "-1"], []):
            self.assertIn("CST_USAGE", run(*wrong, status=2)[1])

    def test_a_part_that_is_none_is_refused(self):
        self.assertIn("no part of that name", run("state.gett", *SMALL, status=2)[1])


if __name__ == "__main__":
    PROGRAM, PEERS = sys.argv[1], sys.argv[2:]
    unittest.main(argv=sys.argv[:1])
