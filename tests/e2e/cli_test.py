#!/usr/bin/env python3
# usage: tests/e2e/cli_test.py PROGRAM [CLASS...]
"""The program through its front door: what it prints, where, and with which exit status."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import unittest

PROGRAM = ""
VERBS = ["bench", "check", "device list", "device probe", "device selftest", "device emulate", "generate", "keys encode", "keys decode", "keys hash", "query", "version"]


def run(*arguments, text=b"", status=0):
    """Runs the program; returns stdout and stderr as text, having checked the exit status."""
    result = subprocess.run([PROGRAM, *arguments], input=text, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, check=False)
    if result.returncode != status:
        raise AssertionError(f"{arguments}: exit status {result.returncode}, wanted {status}\n"
                             f"{result.stderr.decode(errors='replace')}")
    return result.stdout.decode(), result.stderr.decode()


class Frame(unittest.TestCase):
    """Options, help, errors: the same on every verb."""

    def test_help_on_every_verb_goes_to_stdout(self):
        for verb in VERBS:
            out, err = run(*verb.split(), "--help")
            self.assertTrue(out.startswith(f"usage: constellation {verb}"), out)
            for option in ("--json", "--quiet", "--log-level", "--help"):
                self.assertIn(option, out, verb)
            self.assertEqual(err, "")

    def test_help_names_every_verb(self):
        out, _ = run("--help")
        for verb in VERBS:
            self.assertIn(f"  {verb.split()[0]} ", out)

    def test_no_verb_is_wrong_usage(self):
        out, err = run(status=2)
        self.assertEqual(out, "")
        self.assertIn("usage:", err)

    def test_misspelt_verb_gets_a_suggestion(self):
        out, err = run("genrate", status=2)
        self.assertEqual(out, "")
        self.assertEqual(err, "constellation: command line failed: no verb 'genrate'. "
                              "Did you mean 'generate'? (CST_USAGE)\n")
        self.assertIn("Did you mean 'decode'?", run("keys", "decod", status=2)[1])

    def test_misspelt_option_gets_a_suggestion(self):
        self.assertIn("Did you mean --rows?", run("generate", "bids", "--rosw", "3", status=2)[1])

    def test_far_off_verb_gets_no_suggestion(self):
        self.assertIn("See constellation --help", run("xylophone", status=2)[1])

    def test_error_is_one_line_without_colour_when_piped(self):
        _, err = run("generate", "bids", status=2)
        self.assertEqual(err.count("\n"), 1)
        self.assertNotIn("\033", err)

    def test_values_are_checked(self):
        self.assertIn("not a number", run("generate", "bids", "--rows", "-3", status=2)[1])
        self.assertIn("not a number",
                      run("generate", "bids", "--rows", "18446744073709551616", status=2)[1])
        self.assertIn("value is missing", run("generate", "bids", "--rows", status=2)[1])
        self.assertIn("Leave it out", run("run", "job.toml", "--rows", "0", status=2)[1])
        self.assertIn("Leave it out", run("query", "job.toml", "--as-of", "0", status=2)[1])
        self.assertIn("one argument too many",
                      run("generate", "bids", "zipf", "--rows", "1", status=2)[1])
        self.assertIn("--log-level", run("version", "--log-level", "loud", status=2)[1])

    def test_version(self):
        self.assertRegex(run("--version")[0], r"^constellation \d+\.\d+\.\d+\n$")
        self.assertIn("version", json.loads(run("version", "--json")[0]))

    def test_fault_points_are_listed_or_refused(self):
        environment = dict(os.environ, CST_FAULT="upload_before:1:nothing")
        refused = subprocess.run([PROGRAM, "version"], env=environment, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, check=False)
        listed = subprocess.run([PROGRAM, "version", "--fault-points"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, check=False)
        self.assertEqual(refused.stdout, b"")
        self.assertIn(b"CST_FAULT", refused.stderr)
        if listed.returncode == 0:  # the debug preset
            self.assertIn(b"\nupload_middle\n", listed.stdout)
            self.assertEqual(refused.returncode, 2)
        else:
            self.assertEqual((listed.returncode, refused.returncode), (1, 1))
            self.assertIn(b"CST_UNSUPPORTED", listed.stderr)
            self.assertIn(b"CST_UNSUPPORTED", refused.stderr)

    def test_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            result = subprocess.run([PROGRAM, "generate", "bids", "--rows", "10"], stdout=full,
                                    stderr=subprocess.PIPE, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"failed", result.stderr)
        self.assertEqual(result.stderr.count(b"\n"), 1)

    def test_json_stays_json_whatever_an_argument_is(self):
        result = subprocess.run([PROGRAM, "keys", "encode", "--json", "--schema", b"u\xff\xc3\xa98\xe2"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, check=False)
        self.assertEqual(result.returncode, 3)
        self.assertIn("'u\ufffd\u00e98\ufffd'", json.loads(result.stdout.decode("utf-8"))["why"])


class Keys(unittest.TestCase):
    """keys encode, decode, hash."""

    def encode(self, schema, text, status=0):
        return run("keys", "encode", "--schema", schema, text=text.encode(), status=status)

    def round_trip(self, schema, text):
        """Encodes and decodes CSV; returns what came back."""
        keys, _ = self.encode(schema, text)
        return run("keys", "decode", "--schema", schema, text=keys.encode())[0]

    def test_known_keys(self):
        self.assertEqual(self.encode("u64", "7\n")[0], "0000000000000007\n")
        self.assertEqual(self.encode("i8", "-1\n")[0], "7f\n")
        self.assertEqual(self.encode("desc u8", "1\n")[0], "fe\n")
        self.assertEqual(self.encode("string", "ab\n")[0], "61620001\n")
        self.assertEqual(self.encode("nullable u8", "\n5\n")[0], "00\n0105\n")
        self.assertEqual(self.encode("nullable string", '\n""\n')[0], "00\n010001\n")

    def test_every_type_comes_back(self):
        cases = {
            "u8": "0\n255\n", "u16": "65535\n", "u32": "4294967295\n",
            "u64": "18446744073709551615\n", "u128": "340282366920938463463374607431768211455\n",
            "i8": "-128\n127\n", "i16": "-32768\n", "i32": "-2147483648\n",
            "i64": "-9223372036854775808\n9223372036854775807\n",
            "i128": "-170141183460469231731687303715884105728\n"
                    "170141183460469231731687303715884105727\n",
            "f32": "0.1\n-1.5\ninf\n3.4028235e+38\n", "f64": "0.1\n1e-300\n-inf\nnan\n",
            "bool": "true\nfalse\n",
            "date": "1970-01-01\n2000-02-29\n0000-01-01\n9999-12-31\n-0044-03-15\n+12345-06-07\n",
            "timestamp": "2026-01-01T00:00:00.000000Z\n1969-12-31T23:59:59.999999Z\n",
            "decimal128(2)": "-12.34\n0.05\n999999999999999999999999999999999999.99\n",
            "decimal128(0)": "7\n",
            "uuid": "00112233-4455-6677-8899-aabbccddeeff\n",
            "fixed(3)": "0a0b0c\n", "binary": "00ff00\n", "string": 'x\n"a,b"\n"say ""hi"""\n""\n',
        }
        for schema, text in cases.items():
            with self.subTest(schema=schema):
                self.assertEqual(self.round_trip(schema, text), text)
                self.assertEqual(self.round_trip("desc " + schema, text), text)

    def test_columns_and_nulls_come_back(self):
        text = '7,hello,\n8,"two\nlines",-1\n9,"",5\n'
        schema = "u64,desc string,nullable i32 nulls last"
        self.assertEqual(self.round_trip(schema, text), text)

    def test_crlf_and_a_missing_last_line_end(self):
        self.assertEqual(self.encode("u8,u8", "1,2\r\n3,4")[0], "0102\n0304\n")

    def test_order_of_keys_is_order_of_values(self):
        numbers = [-9223372036854775808, -70000, -256, -255, -1, 0, 1, 255, 256, 2**63 - 1]
        keys = self.encode("i64", "\n".join(map(str, numbers)) + "\n")[0].split()
        self.assertEqual(keys, sorted(keys))
        keys = self.encode("desc i64", "\n".join(map(str, numbers)) + "\n")[0].split()
        self.assertEqual(keys, sorted(keys, reverse=True))

    def test_canonical_values(self):
        self.assertEqual(self.round_trip("f64", "-0.0\n"), "0\n")
        self.assertEqual(self.round_trip("timestamp", "2026-07-01 12:30:00.5\n"),
                         "2026-07-01T12:30:00.500000Z\n")
        self.assertEqual(self.round_trip("decimal128(3)", "007.5\n"), "7.500\n")

    def test_bad_input_names_line_and_column(self):
        for schema, text, where in [
                ("u8", "1\n300\n", "line 2: column 1"), ("u8,i32", "1,2\n3,x\n", "line 2: column 2"),
                ("u8", "-1\n", "line 1: column 1"), ("u8", "\n", "line 1: column 1"),
                ("bool", "yes\n", "line 1: column 1"), ("date", "2023-02-29\n", "line 1: column 1"),
                ("date", "2023-2-9\n", "line 1"), ("timestamp", "2026-01-01T24:00:00\n", "line 1"),
                ("decimal128(2)", "1.234\n", "line 1"), ("decimal128(2)", "1.\n", "line 1"),
                ("uuid", "00112233-4455-6677-8899-aabbccddeef\n", "line 1"),
                ("fixed(2)", "0a\n", "line 1"), ("binary", "0g\n", "line 1"),
                ("f64", "0x10\n", "line 1"), ("f64", "1e999\n", "line 1"),
                ("u8,u8", "1\n", "line 1"), ("u8", "1,2\n", "line 1"),
                ("string", 'a\n"x\ny\n', "line 2"), ("string", 'a"b\n', "line 1")]:
            with self.subTest(schema=schema, text=text):
                _, err = self.encode(schema, text, status=3)
                self.assertIn(where, err)
                self.assertEqual(err.count("\n"), 1)

    def test_text_that_is_no_utf8_is_refused(self):
        _, err = run("keys", "encode", "--schema", "string", text=b"\xff\xfe\n", status=3)
        self.assertIn("CST_UTF8", err)

    def test_lines_before_a_bad_one_are_written(self):
        self.assertEqual(self.encode("u8", "1\n2\nx\n", status=3)[0], "01\n02\n")

    def test_a_bad_schema_is_bad_input(self):
        self.assertIn("CST_SCHEMA", self.encode("u63", "1\n", status=3)[1])

    def test_damaged_keys_are_refused(self):
        for schema, key in [("u64", "00"), ("u8", "0102"), ("string", "6162"), ("u8", "0g"),
                            ("u8", "0"), ("nullable u8", "03"), ("u8", "")]:
            with self.subTest(schema=schema, key=key):
                _, err = run("keys", "decode", "--schema", schema, text=f"{key}\n".encode(),
                             status=3)
                self.assertIn("line 1", err)

    def test_a_missing_file_is_missing_data(self):
        _, err = run("keys", "encode", "--schema", "u8", "/nonexistent/rows.csv", status=4)
        self.assertIn("/nonexistent/rows.csv", err)

    def test_hash_is_siphash_1_3(self):
        # From the reference implementation with the key 00 01 .. 0f: no bytes; one byte 00.
        key = "000102030405060708090a0b0c0d0e0f"
        self.assertEqual(run("keys", "hash", "--key", key, text=b"\n\0\n")[0],
                         "abac0158050fc4dc\nc9f49bf37d57ca93\n")

    def test_hash_wants_a_key(self):
        run("keys", "hash", text=b"x\n", status=2)
        run("keys", "hash", "--key", "00", text=b"x\n", status=2)
        run("keys", "hash", "--key", "g" * 32, text=b"x\n", status=2)

    def endless(self, *arguments, stdout):
        """Runs a verb on lines that never end; returns its exit status and what it said."""
        with subprocess.Popen(["yes", "01"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as lines:
            result = subprocess.run([PROGRAM, "keys", *arguments], stdin=lines.stdout, stdout=stdout,
                                    stderr=subprocess.PIPE, timeout=60, check=False,
                                    preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN))
            lines.kill()
        return result.returncode, result.stderr.decode()

    def test_input_without_an_end_stops_where_nobody_takes_the_output(self):
        key = "000102030405060708090a0b0c0d0e0f"
        for verb in (["encode", "--schema", "u8"], ["decode", "--schema", "u8"],
                     ["hash", "--key", key]):
            with self.subTest(verb=verb), open("/dev/full", "wb") as full:
                self.assertEqual(self.endless(*verb, stdout=full),
                                 (1, "constellation: writing to stdout failed. Is the disk full or "
                                     "the pipe closed?\n"))
                reader, writer = os.pipe()
                os.close(reader)
                self.assertEqual(self.endless(*verb, stdout=writer)[0], 1)
                os.close(writer)

    def test_a_line_without_an_end_is_a_limit(self):
        for verb in (["encode", "--schema", "string"], ["decode", "--schema", "u8"],
                     ["hash", "--key", "00" * 16]):
            with self.subTest(verb=verb):
                self.assertIn("CST_LIMIT", run("keys", *verb, text=b"0" * (5 << 20), status=3)[1])

    def test_json_prints_only_json_lines(self):
        out, _ = run("keys", "encode", "--json", "--schema", "u8,string", text=b"1,a\n2,b\n")
        self.assertEqual([json.loads(line)["key"] for line in out.splitlines()],
                         ["01610001", "02620001"])
        out, _ = run("keys", "decode", "--json", "--schema", "u8,nullable string",
                     text=b"0100\n020161220001\n")
        self.assertEqual([json.loads(line)["values"] for line in out.splitlines()],
                         [["1", None], ["2", 'a"']])
        out, _ = run("keys", "encode", "--json", "--schema", "u8", text=b"1\nx\n", status=3)
        self.assertEqual(json.loads(out.splitlines()[1])["code"], "CST_PARSE")


class Generate(unittest.TestCase):
    """generate: the same rows for the same options."""

    def rows(self, *arguments):
        return [json.loads(line) for line in run("generate", *arguments)[0].splitlines()]

    def test_first_rows_are_golden(self):
        self.assertEqual(
            run("generate", "bids", "--rows", "2")[0],
            '{"auction":5428,"bidder":375612,"price":64721,"channel":"web","at":1767225599997767}\n'
            '{"auction":2880,"bidder":250952,"price":369743,"channel":"app","at":1767225599996492}\n')
        self.assertEqual(
            run("generate", "orders", "--rows", "2", "--format", "csv")[0],
            "order,customer,item,quantity,amount,at\n"
            "1,4428,sku-038530,4,467.96,1767225599997767\n"
            "2,1880,sku-027648,4,231.96,1767225599996492\n")

    def test_bytes_are_golden(self):
        golden = {}
        for line in GOLDEN.split("\n"):
            name, digest = line.split()
            golden[name] = digest
        for name, digest in golden.items():
            with self.subTest(name=name):
                out, _ = run("generate", name, "--rows", "20_000", "--seed", "7")
                self.assertEqual(hashlib.sha256(out.encode()).hexdigest()[:16], digest)

    def test_equal_seeds_give_equal_bytes(self):
        first = run("generate", "zipf", "--rows", "5000", "--seed", "9")[0]
        self.assertEqual(first, run("generate", "zipf", "--rows", "5000", "--seed", "9")[0])
        self.assertNotEqual(first, run("generate", "zipf", "--rows", "5000", "--seed", "10")[0])

    def test_a_row_depends_on_its_number_alone(self):
        whole = run("generate", "bids", "--rows", "10000")[0].splitlines()
        tail = run("generate", "bids", "--rows", "100", "--first-row", "9900")[0].splitlines()
        self.assertEqual(whole[9900:], tail)

    def test_csv_and_ndjson_hold_the_same_rows(self):
        rows = self.rows("bids", "--rows", "300")
        lines = run("generate", "bids", "--rows", "300", "--format", "csv")[0].splitlines()
        names = lines[0].split(",")
        self.assertEqual(names, ["auction", "bidder", "price", "channel", "at"])
        self.assertEqual([[str(row[name]) for name in names] for row in rows],
                         [line.split(",") for line in lines[1:]])

    def test_no_header(self):
        lines = run("generate", "uniform", "--rows", "3", "--format", "csv", "--no-header")[0]
        self.assertEqual(lines.count("\n"), 3)
        self.assertNotIn("key", lines)

    def test_skew_is_what_it_says(self):
        count, keys = 100_000, 1000
        for skew in (0.5, 1.0, 1.5):
            rows = self.rows("zipf", "--rows", str(count), "--keys", str(keys), "--skew", str(skew))
            total = sum(k ** -skew for k in range(1, keys + 1))
            for rank in (1, 2, 10):
                seen = sum(row["key"] == rank for row in rows)
                wanted = count * rank ** -skew / total
                # Six standard deviations of a binomial.
                self.assertLess(abs(seen - wanted), 6 * wanted ** 0.5, (skew, rank))

    def test_uniform_is_uniform(self):
        rows = self.rows("uniform", "--rows", "100000", "--keys", "10")
        for key in range(1, 11):
            self.assertLess(abs(sum(row["key"] == key for row in rows) - 10000), 600)

    def test_one_key(self):
        self.assertEqual({row["key"] for row in self.rows("one-key", "--rows", "100")}, {1})

    def test_no_rows(self):
        self.assertEqual(run("generate", "bids", "--rows", "0")[0], "")

    def test_wrong_options_are_wrong_usage(self):
        run("generate", "nothing", "--rows", "1", status=2)
        run("generate", "bids", status=2)
        run("generate", "uniform", "--rows", "1", "--skew", "1", status=2)
        run("generate", "one-key", "--rows", "1", "--keys", "2", status=2)
        run("generate", "bids", "--rows", "1", "--skew", "11", status=2)
        run("generate", "zipf", "--rows", "1", "--skew", "-1", status=2)
        run("generate", "zipf", "--rows", "1", "--skew", "-0.5", status=2)
        run("generate", "zipf", "--rows", "1", "--skew", "nan", status=2)
        run("generate", "bids", "--rows", "1", "--format", "xml", status=2)


class Device(unittest.TestCase):
    """device list, probe, selftest."""

    def test_list_names_every_device_and_why_it_is_not_there(self):
        out, _ = run("device", "list", "--json")
        devices = {row["uri"]: row for row in map(json.loads, out.splitlines())}
        self.assertEqual(set(devices), {"cpu:", "cpu:scalar", "cpu:avx2", "cpu:avx512", "sim:",
                                        "opencl:", "xrt:0"})
        self.assertTrue(devices["cpu:"]["available"])
        self.assertTrue(devices["cpu:scalar"]["available"])
        self.assertFalse(devices["xrt:0"]["available"])
        self.assertRegex(devices["xrt:0"]["text"], "XRT")
        lines = run("device", "list")[0].splitlines()
        self.assertEqual(len(lines), len(devices))
        self.assertRegex(lines[0], r"^cpu: +available +processor, ")

    def test_it_finds_the_same_devices_when_the_shell_found_it(self):
        by_path = run("device", "list")[0]
        folder, name = os.path.split(os.path.realpath(PROGRAM))
        found = subprocess.run(["env", f"PATH={folder}:{os.environ['PATH']}", name, "device", "list"],
                               stdout=subprocess.PIPE, cwd="/", check=True)
        self.assertEqual(found.stdout.decode(), by_path)

    def test_probe_says_what_a_device_can_do(self):
        probe = json.loads(run("device", "probe", "cpu:", "--json")[0])
        self.assertEqual(probe["operations"],
                         ["encode", "hash", "apply", "lookup", "barrier", "scan", "restore",
                          "grow", "expire", "release"])
        self.assertEqual(probe["key_bytes_max"], 248)
        self.assertGreater(probe["memory_bytes"], 1 << 20)
        out, _ = run("device", "probe", "cpu:scalar?worker=1")
        self.assertIn("processor, scalar, a worker thread a queue", out)

    def test_probe_says_from_how_many_rows_on_a_device_encodes(self):
        encode = json.loads(run("device", "probe", "fault:cpu:", "--json")[0])["encode"]
        self.assertFalse(encode["modelled"])
        self.assertGreaterEqual(encode["rows_min"], -1)
        self.assertGreater(encode["processor_command_ns"] + encode["processor_row_ns"], 0)
        out, _ = run("device", "probe", "fault:cpu:")
        self.assertRegex(out, r"(?m)^u64 keys +[\d.]+ us a batch and [\d.]+ ns a row; the processor")
        self.assertRegex(out, r"(?m)^encoded here +(no batch|batches of \d+ rows and more)")
        self.assertNotIn("encode", json.loads(run("device", "probe", "cpu:", "--json")[0]))

    def test_probe_says_which_nodes_there_are_and_where_a_buffer_lies(self):
        probe = json.loads(run("device", "probe", "cpu:?node=0", "--json")[0])
        self.assertEqual(probe["numa_node"], 0)
        self.assertEqual(probe["nodes"][0]["node"], 0)
        self.assertGreater(sum(node["processors"] for node in probe["nodes"]), 0)
        self.assertEqual(probe["buffer"]["bytes"], 4 << 20)
        self.assertEqual(probe["buffer"]["misplaced_bytes"], 0)
        self.assertEqual(probe["buffer"]["node_bytes"], {"0": 4 << 20})
        out, _ = run("device", "probe", "cpu:?node=0")
        self.assertIn("buffer         4096 KiB, 4096 KiB on node 0, 0 KiB misplaced\n", out)
        _, err = run("device", "probe", "cpu:?node=63", status=5)
        self.assertIn("NUMA node 63: no such node", err)

    def test_selftest_passes_on_what_is_there(self):
        for uri in ("cpu:", "cpu:scalar", "cpu:?worker=1", "fault:cpu:"):
            self.assertEqual(run("device", "selftest", uri)[0],
                             f"{uri}: keys, hashes and table give the known answers\n")
        self.assertEqual(json.loads(run("device", "selftest", "cpu:", "--json")[0]),
                         {"uri": "cpu:", "selftest": "ok"})

    def test_selftest_finds_one_wrong_bit(self):
        out, err = run("device", "selftest", "fault:cpu:?flip=1", status=5)
        self.assertEqual(out, "")
        self.assertIn("CST_DEVICE_SELFTEST", err)

    def test_what_is_not_there_is_a_device_error(self):
        for uri, why in [("opencl:?library=/nowhere", "/nowhere"), ("tpu:", "no device scheme 'tpu:'"),
                         ("cpu", "has no scheme"), ("cpu:avx1024", "no such level"),
                         ("cpu:?threads=2", "no parameter 'threads'"),
                         ("fault:cpu:?fail_open=1", "fail_open")]:
            with self.subTest(uri=uri):
                _, err = run("device", "probe", uri, status=5)
                self.assertIn(why, err)
                self.assertEqual(err.count("\n"), 1)

    def test_a_missing_device_is_wrong_usage(self):
        run("device", "probe", status=2)
        run("device", "selftest", status=2)
        self.assertIn("Did you mean 'probe'?", run("device", "prob", status=2)[1])


GOLDEN = """bids a54181d60cb36e22
orders 2ab4912bab88c254
uniform ba73d081b3643bef
zipf 67b77198a66b96a6
one-key e59d185c8d1fd42e"""

if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
