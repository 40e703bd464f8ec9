#!/usr/bin/env python3
# usage: tests/vectors/make_manifests.py [--check]
# Writes the golden manifests in manifests/ from a second, independent implementation of
# docs/formats.md, Manifest; with --check it writes nothing and fails if a file differs, or does not
# fit docs/manifest.schema.json. With python3-jsonschema missing that last step fails too.
import json
import os
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "manifests")
SCHEMA = os.path.join(HERE, "..", "..", "..", "docs", "manifest.schema.json")
UNALIGNED_FIELD = "steps_hash"  # of versions 2 and 4
STAGES_FIELD = "then"  # of versions 3 and 4
ROWS_FIELD = "rows"  # of version 4 alone
ROWS = ("names", "owners", "partitions", "rows", "splits")
NONCE = "0123456789abcdef"


def delta(checkpoint, tenure=1, nonce=NONCE):
    return f"checkpoints/{checkpoint:020}/{{partition}}-{tenure}-{nonce}/delta-{{epoch}}"


def head(**fields):
    manifest = {
        "version": 1, "incarnation": 1, "id": 1, "base_id": 0, "job": "bids",
        "owner": "00000000000000a1", "tenure": 1, "created_us": 1700000000000000,
        "key_schema": "u64", "value": "bids=count",
        "program": {"value_bytes": 8, "presence_offset": 65535, "ttl_us": 0, "time_offset": 0,
                    "accumulators": [["count", "u64", 0, 65535]]},
        "table_id": "00000000000000b2", "hash_key": "000102030405060708090a0b0c0d0e0f",
        "key_groups_count": 4096, "sink": "none",
        "names": [], "owners": [], "watermark_us": None, "partitions": [], "splits": [],
    }
    if UNALIGNED_FIELD in fields:  # in its place
        before = list(manifest.items())
        at = list(manifest).index("names")
        manifest = dict(before[:at] + [(UNALIGNED_FIELD, "")] + before[at:])
        manifest["version"] = 2
    if STAGES_FIELD in fields:
        before = list(manifest.items())
        at = list(manifest).index("key_groups_count")
        manifest = dict(before[:at] + [(STAGES_FIELD, {})] + before[at:])
        manifest["version"] = 3
    if ROWS_FIELD in fields:
        before = list(manifest.items())
        at = list(manifest).index("splits")
        manifest = dict(before[:at] + [(ROWS_FIELD, [])] + before[at:])
        manifest["version"] = 4
    assert set(fields) <= set(manifest)
    return manifest | fields


# One partition, its first epoch, no source.
MINIMAL = head(names=[delta(1)], owners=[["00000000000000a1", 1]],
               partitions=[[4096, 0, 1, None, 0, [0, 2, 1, 256, "0000002a"]]])

# Three partitions: on a fold, on a first checkpoint with a carried epoch, and untouched ever.
SEVERAL = head(
    incarnation=2, id=17, base_id=15, job="bids \"per\" auction \\ größte",
    owner="fedcba9876543210", tenure=9, created_us=-1,
    key_schema="u64,desc string,nullable i32 nulls last",
    value="bids=count,highest=max(price),mean=sum(price):decimal128,seen=last(at)",
    program={"value_bytes": 48, "presence_offset": 40, "ttl_us": 3600000000, "time_offset": 32,
             "accumulators": [["count", "u64", 0, 65535], ["max", "f64", 8, 2],
                              ["sum", "decimal128", 16, 3], ["last", "i64", 32, 4]]},
    table_id="8000000000000001", hash_key="ffeeddccbbaa99887766554433221100", sink="file",
    names=["folds/4-00000000000000f4/{partition}-{epoch}", delta(15, 7), delta(17, 8),
           delta(3, 2, "00000000000000c3")],
    owners=[["fedcba9876543210", 8], ["0000000000000007", 3]],
    watermark_us=1700000000000000,
    partitions=[
        [1365, 0, 1, 0, 9223372036854775807,
         [0, 3, 12, 1048576, "deadbeef"], [1, 1, 1, 4096, "00000001"], [2, 1, 1, 256, "ffffffff"]],
        [1365, 0, 2, 1500000,  12345,
         [3, 2, 40, 9007199254740993, "12345678"], [2, 1, 1, 512, "00000002"],
         [2, 1, 1, 1024, "00000003"]],
        [1366, 1, 0, None, 0]],
    splits=[["file-bids.ndjson", "{\"byte\":9007199254740993,\"path\":\"a\\\\b\"}",
             1699999999000000, False],
            ["generator-0", "{\"row\":5000000}", None, True]])

# Three partitions that were two: each on a full of its own, under the checkpoint that they come from,
# with epochs above all that the two had.
RESCALED = head(
    id=22, base_id=21, tenure=5, sink="file:out",
    names=[delta(21, 5, "00000000000000e5"), delta(22, 5)],
    owners=[["00000000000000a1", 5]], watermark_us=1700000000000000,
    partitions=[
        [1365, 0, 1, 0, 700, [0, 3, 31, 34816, "0000000a"], [1, 1, 1, 512, "0000000b"]],
        [1365, 0, 1, 0, 600, [0, 3, 31, 34752, "0000000c"], [1, 1, 1, 256, "0000000d"]],
        [1366, 0, 1, 0, 0, [0, 3, 31, 33024, "0000000e"], [1, 1, 1, 768, "0000000f"]]],
    splits=[["generator-0", "{\"row\":700,\"stripes\":2}", 1700000000000000, False],
            ["generator-1", "{\"row\":600,\"stripes\":2}", 1700000000000000, False]])

# Two partitions that stand at rows of their own: of generator-0's rows behind row 700 the first one has
# 20, the second 3; of generator-1 only the second has any; generator-2 is where both are.
UNALIGNED = head(
    id=31, base_id=30, steps_hash="00c0ffee00c0ffee",
    names=[delta(31)], owners=[["00000000000000a1", 1]], watermark_us=1700000000000000,
    partitions=[[2048, 0, 1, 0, 720, [0, 2, 1, 512, "0000001a"]],
                [2048, 0, 1, 250000, 610, [0, 2, 1, 512, "0000001b"]]],
    splits=[["generator-0", "{\"row\":700,\"stripes\":3}", 1700000000000000, False, [20, 3]],
            ["generator-1", "{\"row\":300,\"stripes\":3}", None, False, [0, 9223372036854775807]],
            ["generator-2", "{\"row\":600,\"stripes\":3}", 1700000000000000, True]])

# Two partitions of each of two stages: bids per auction and window, and the highest of a window. The
# second stage has seen nothing of what is in the first one's windows yet, but for one line.
STAGES = head(
    id=41, base_id=40, sink="file:out", key_schema="u64,timestamp",
    then={"key_schema": "timestamp", "value": "highest=max(bids)",
          "program": {"value_bytes": 8, "presence_offset": 65535, "ttl_us": 0, "time_offset": 0,
                      "accumulators": [["max", "u64", 0, 0]]},
          "table_id": "00000000000000c3", "hash_key": "f0e0d0c0b0a090807060504030201000"},
    names=[delta(41)], owners=[["00000000000000a1", 1]], watermark_us=1700000000000000,
    partitions=[[2048, 0, 1, 0, 720, [0, 2, 1, 512, "0000002a"]],
                [2048, 0, 1, 0, 610, [0, 2, 1, 512, "0000002b"]],
                [2048, 0, 1, 250000, 1, [0, 2, 1, 320, "0000002c"]],
                [2048, 0, 1, 250000, 0, [0, 2, 1, 256, "0000002d"]]],
    splits=[["generator-0", "{\"row\":1330,\"stripes\":1}", 1700000000000000, False]])

# The same two stages, not aligned: of what the first stage gave away, partition 3 had 7 rows under way when
# it was cut; of the source's rows behind row 1330 partition 0 has 12.
ROWS_UNDER_WAY = STAGES | {"id": 42, "base_id": 41}
ROWS_UNDER_WAY = head(**{key: value for key, value in ROWS_UNDER_WAY.items() if key != "version"} | {
    "steps_hash": "00c0ffee00c0ffee",
    "names": [delta(42), f"checkpoints/{42:020}/{{partition}}-1-{NONCE}/rows-{{epoch}}"],
    "rows": [[3, 1, 7, 408, "0000003a"]],
    "splits": [["generator-0", "{\"row\":1330,\"stripes\":1}", 1700000000000000, False, [12, 0, 0, 0]]]})


def text(manifest):
    def dump(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    fields = []
    for key, value in manifest.items():
        if key in ROWS:
            rows = ",\n".join(dump(row) for row in value)
            fields.append(f"\"{key}\":[" + ("\n" + rows if rows else "") + "]")
        else:
            fields.append(f"\"{key}\":{dump(value)}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


GOLDEN = (("minimal", MINIMAL), ("several", SEVERAL), ("rescaled", RESCALED),
          ("unaligned", UNALIGNED), ("stages", STAGES), ("rows", ROWS_UNDER_WAY))


def main():
    check = sys.argv[1:] == ["--check"]
    if check:
        import jsonschema
        with open(SCHEMA, encoding="utf-8") as file:
            schema = json.load(file)
        jsonschema.Draft202012Validator.check_schema(schema)
    for name, manifest in GOLDEN:
        place = os.path.join(HERE, name + ".json")
        if not check:
            with open(place, "w", encoding="utf-8") as file:
                file.write(text(manifest))
            continue
        with open(place, encoding="utf-8") as file:
            if file.read() != text(manifest):
                sys.exit(f"make_manifests: {place} differs")
        jsonschema.validate(manifest, schema)
        broken = manifest | {"unknown": 1}
        if jsonschema.Draft202012Validator(schema).is_valid(broken):
            sys.exit("make_manifests: the schema takes unknown fields")
    print(f"make_manifests: {len(GOLDEN)} manifests " + ("are right" if check else "written"))


main()
