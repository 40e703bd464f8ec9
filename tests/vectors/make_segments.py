#!/usr/bin/env python3
# usage: tests/vectors/make_segments.py [--check]
# Writes the golden segments in segments/ from a second, independent implementation of
# docs/formats.md, Segments; with --check it writes nothing and fails if a file differs.
import os
import struct
import sys

sys.dont_write_bytecode = True
from make_vectors import siphash13  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "segments")
KEY = bytes(range(16))
KEY_BYTES, VALUE_BYTES, RECORD_BYTES = 8, 16, 64
BLOCK = 65536


# ---- CRC32C, bit by bit ----------------------------------------------------------------------
def crc_table():
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(crc_table())


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def hash_of(key):
    return siphash13(KEY, key)


def pad(data, unit):
    return data + bytes(-len(data) % unit)


# ---- Records -----------------------------------------------------------------------------------
ROW, TOMBSTONE, GAP = 1 << 31, 1 << 30, 1 << 29


def inline(key, value):
    flag = TOMBSTONE if value is None else ROW
    head = struct.pack("<QHHI", hash_of(key), len(key), RECORD_BYTES // 32, len(value or b"") | flag)
    return (head + key.ljust(KEY_BYTES, b"\0") + (value or b"")).ljust(RECORD_BYTES, b"\0")


def beside_state(flag, key, value):
    """A tombstone that brings its row's last value, or a row that was set aside."""
    head = struct.pack("<QHHI", hash_of(key), len(key), RECORD_BYTES // 32, len(value) | flag)
    return (head + key.ljust(KEY_BYTES, b"\0") + value).ljust(RECORD_BYTES, b"\0")


def wide(key, value, spare=0):
    flag = TOMBSTONE if value is None else ROW
    size = len(pad(bytes(16) + pad(key, 8) + (value or b""), 32)) + spare
    head = struct.pack("<QHHI", hash_of(key), len(key), size // 32, len(value or b"") | flag)
    return (head + pad(key, 8) + (value or b"")).ljust(size, b"\0")


def gap(size):
    return struct.pack("<QHHI", 0, 0, size // 32, GAP).ljust(size, b"\0")


# ---- A segment ---------------------------------------------------------------------------------
DELTA, UNORDERED, ORDERED = 1, 2, 3


def segment(kind, epochs, base, tip, parts):
    """parts: [(records of the inline part), (records of the wide part)]; returns bytes, checksum."""
    zero = bytes(16)
    program = struct.pack("<IHHQH6x", VALUE_BYTES, 0, 0xFFFF, 0, 0xFFFF)
    head = b"CSTSEG1\n" + struct.pack(
        "<IHBBIIQQQQQQQII", 1, 128, kind, 2, BLOCK, base[1], 0xC0FFEE, epochs[0], epochs[1], base[0],
        siphash13(zero, b"u64"), siphash13(zero, program), siphash13(KEY, b"constellation-hk"), tip, 0)
    head += struct.pack("<IIII", 1, KEY_BYTES, VALUE_BYTES, RECORD_BYTES)
    head += struct.pack("<IIII", 2, 0, 0, 0) + bytes(4)
    assert len(head) == 124
    head_crc = crc32c(head)
    head += struct.pack("<I", head_crc)
    bodies = [b"".join(part) for part in parts]
    body = b"".join(bodies)
    groups = b""
    if kind == ORDERED:
        for part in parts:
            starts, at = [], 0
            for one in part:
                group = struct.unpack_from("<Q", one)[0] >> 52
                starts += [at] * (group + 1 - len(starts))
                at += len(one)
            starts += [at] * (4097 - len(starts))
            groups += struct.pack("<4097Q", *starts)
    blocks = b""
    for index, at in enumerate(range(0, len(body), BLOCK)):
        blocks += struct.pack("<I", crc32c(struct.pack("<II", head_crc, index) + body[at:at + BLOCK]))
    count = len(blocks) // 4
    blocks = pad(blocks, 8)
    size = 256 + len(body) + len(groups) + len(blocks)
    foot = struct.pack("<IIIIQQQ", head_crc, crc32c(groups) if groups else 0, crc32c(blocks), 0, size,
                       len(body), count)
    for part, data in zip(parts, bodies):
        flags = [struct.unpack_from("<I", one, 12)[0] for one in part]
        foot += struct.pack("<QQQ", len(data), sum(f & ROW != 0 for f in flags),
                            sum(f & TOMBSTONE != 0 for f in flags))
    foot += bytes(28)
    assert len(foot) == 116
    checksum = crc32c(foot)
    foot += struct.pack("<I", checksum) + b"CSTEND1\n"
    return head + body + groups + blocks + foot, checksum


def ordered(records):
    def place(one):
        size = struct.unpack_from("<H", one, 8)[0]
        return struct.unpack_from("<Q", one)[0], one[16:16 + size]
    return sorted(records, key=place)


def number(key, value):
    return struct.pack("<Q", key), struct.pack("<QQ", value, value * value)


def segments():
    first = {}
    wides = {b"": b"an empty key", b"\0\xff": b"", b"a key that no slot takes": b"v" * 70}
    log = []
    for key in range(1200):
        k, v = number(key, key + 7)
        first[k] = v
        log.append(inline(k, v))
        if key % 100 == 99:
            log.append(gap(32 if key % 200 == 99 else 64))
    one, one_sum = segment(UNORDERED, (1, 2), (0, 0), 0,
                           [log, [wide(k, v, 32) for k, v in wides.items()]])
    log, wide_log = [], []
    for key in range(1150, 1250):
        k, v = number(key, 1)
        first[k] = v
        log.append(inline(k, v))
    for key in range(0, 1200, 3):
        k, _ = number(key, 0)
        del first[k]
        log.append(inline(k, None))
    del wides[b""]
    wide_log.append(wide(b"", None))
    wides[b"a key that no slot takes"] = b"short"
    wide_log.append(wide(b"a key that no slot takes", b"short", 64))
    two, two_sum = segment(DELTA, (3, 3), (2, one_sum), 0, [log, wide_log])
    three, _ = segment(ORDERED, (1, 3), (0, 0), two_sum,
                       [ordered([inline(k, v) for k, v in first.items()]),
                        ordered([wide(k, v) for k, v in wides.items()])])
    # Of a windowed job: rows of windows that were closed, and late ones.
    log = [inline(*number(key, 1)) for key in range(1200, 1210)]
    log += [beside_state(TOMBSTONE, *number(key, 8)) for key in range(1201, 1231)]
    log += [beside_state(GAP, *number(key, 9)) for key in range(1205, 1212)]
    four, _ = segment(DELTA, (4, 4), (3, two_sum), 0, [log, []])
    return {"full_unordered.txt": one, "delta.txt": two, "full_ordered.txt": three,
            "delta_windows.txt": four}


def lines(data):
    """Words of 8 bytes, runs of equal ones counted."""
    at = 0
    while at < len(data):
        word, run = data[at:at + 8], 1
        while data[at + 8 * run:at + 8 * run + 8] == word:
            run += 1
        yield f"{run} | {word.hex()}"
        at += 8 * run


def main():
    check = "--check" in sys.argv[1:]
    if any(a in ("-h", "--help") for a in sys.argv[1:]):
        print(__doc__ or open(__file__, encoding="utf-8").read().split("\nimport")[0])
        return
    for name, data in segments().items():
        path = os.path.join(HERE, name)
        text = "# version 1\n" + "".join(line + "\n" for line in lines(data))
        if check:
            with open(path, encoding="ascii") as stored:
                if stored.read() != text:
                    sys.exit(f"{name}: stored and computed bytes differ")
            print(f"{name}: {len(data)} bytes equal")
            continue
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        print(f"{name}: {len(data)} bytes written")


if __name__ == "__main__":
    main()
