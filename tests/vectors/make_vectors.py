#!/usr/bin/env python3
# usage: tests/vectors/make_vectors.py [--check]
# Writes the golden vectors from a second, independent implementation of docs/formats.md; with
# --check it writes nothing and fails if a file differs. Pure Python, no package needed.
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 64) - 1


# ---- SipHash-1-3, from the paper -------------------------------------------------------------
def rotate(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def sip_round(v):
    a, b, c, d = v
    a = (a + b) & MASK
    b = rotate(b, 13) ^ a
    a = rotate(a, 32)
    c = (c + d) & MASK
    d = rotate(d, 16) ^ c
    a = (a + d) & MASK
    d = rotate(d, 21) ^ a
    c = (c + b) & MASK
    b = rotate(b, 17) ^ c
    c = rotate(c, 32)
    return [a, b, c, d]


def siphash13(key, message):
    k0 = int.from_bytes(key[:8], "little")
    k1 = int.from_bytes(key[8:], "little")
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    padded = message + bytes(-(len(message) + 1) % 8) + bytes([len(message) & 0xFF])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        v = sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(3):
        v = sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def hash_lines():
    draw = random.Random(1)
    counting = bytes(range(16))
    cases = [(counting, bytes(range(n))) for n in range(65)]
    cases += [(bytes(16), b""), (bytes([255] * 16), b"\xff" * 16)]
    cases += [(counting, bytes(i & 0xFF for i in range(n))) for n in (127, 255, 256, 257, 1000)]
    for n in [8] * 8 + [9] * 4 + [16] * 8 + [17] * 4 + [24, 32, 40]:
        cases.append((draw.randbytes(16), draw.randbytes(n)))
    yield "# SipHash-1-3: key | bytes | hash"
    yield "# key: 16 bytes as they lie in memory; hash: the 64-bit number, most significant first"
    for key, message in cases:
        yield f"{key.hex()} | {message.hex()} | {siphash13(key, message):016x}"


# ---- CPython's own SipHash-1-3 as a witness ---------------------------------------------------
def cpython_secret(seed):
    # Python/bootstrap_hash.c, lcg_urandom: the key that PYTHONHASHSEED=seed gives.
    out, x = bytearray(), seed
    for _ in range(16):
        x = (x * 214013 + 2531011) & 0xFFFFFFFF
        out.append((x >> 16) & 0xFF)
    return bytes(out)


def check_against_cpython():
    if sys.hash_info.algorithm != "siphash13":
        return f"CPython here hashes with {sys.hash_info.algorithm}: not compared with it"
    program = "import sys\nfor n in range(1, 300): print(hash(bytes(i & 255 for i in range(n))))"
    for seed in (1, 7, 4294967295):
        run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True,
                             text=True, env={**os.environ, "PYTHONHASHSEED": str(seed)})
        for n, line in enumerate(run.stdout.split(), 1):
            ours = siphash13(cpython_secret(seed), bytes(i & 255 for i in range(n)))
            if ours != int(line) & MASK:
                sys.exit(f"SipHash of {n} bytes, seed {seed}: {ours:016x}, CPython says {line}")
    return "SipHash-1-3 equals CPython's own on 897 messages"


# ---- memcomparable keys, from docs/formats.md ---------------------------------------------------
UNSIGNED = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "u128": 128}
SIGNED = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "i128": 128, "date": 32, "timestamp": 64}


def column_of(text):
    words = text.split()
    name, _, argument = [w for w in words if w not in
                         ("desc", "nullable", "nulls", "first", "last")][0].partition("(")
    return {"type": name, "argument": int(argument[:-1]) if argument else None,
            "desc": "desc" in words, "nullable": "nullable" in words, "last": "last" in words}


def float_part(bits, size, fraction):
    sign = 1 << (size - 1)
    infinity = (sign - 1) >> fraction << fraction
    if bits & ~sign > infinity:
        bits = infinity | 1 << (fraction - 1)  # the one NaN
    if bits == sign:
        bits = 0  # -0.0
    ordered = bits ^ ((1 << size) - 1) if bits & sign else bits | sign
    return ordered.to_bytes(size // 8, "big")


def value_part(column, value):
    kind = column["type"]
    if kind in UNSIGNED:
        return value.to_bytes(UNSIGNED[kind] // 8, "big")
    if kind in SIGNED or kind == "decimal128":
        size = SIGNED.get(kind, 128)
        return (value + (1 << (size - 1))).to_bytes(size // 8, "big")
    if kind == "bool":
        return bytes([value])
    if kind == "f64":
        return float_part(value, 64, 52)
    if kind == "f32":
        return float_part(value, 32, 23)
    if kind in ("uuid", "fixed"):
        return value
    return value.replace(b"\x00", b"\x00\xff") + b"\x00\x01"


def key_of(schema, row):
    out = b""
    for text, value in zip(schema.split(","), row):
        column = column_of(text)
        if value is None:
            out += b"\x02" if column["last"] else b"\x00"
            continue
        if column["nullable"]:
            out += b"\x01"
        part = value_part(column, value)
        out += bytes(b ^ 0xFF for b in part) if column["desc"] else part
    return out


def word_of(text, value):
    kind = column_of(text)["type"]
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return "x:" + value.hex()
    if kind in ("f32", "f64"):
        return "f:" + value.to_bytes(int(kind[1:]) // 8, "big").hex()
    return str(value)


def boundary_values(kind, width):
    if kind in UNSIGNED:
        top = (1 << UNSIGNED[kind]) - 1
        return sorted({0, 1, 127, 128, min(255, top), min(256, top), top >> 1, (top >> 1) + 1,
                       top - 1, top})
    if kind in SIGNED:
        top = (1 << (SIGNED[kind] - 1)) - 1
        return sorted({-top - 1, -top, max(-256, -top), -128, -1, 0, 1, 127, min(255, top),
                       min(256, top), top - 1, top})
    if kind == "decimal128":
        return [-(10**38) + 1, -(10**37), -256, -1, 0, 1, 255, 256, 10**37, 10**38 - 1]
    if kind == "bool":
        return [0, 1]
    if kind == "f64":
        return [0xFFF0000000000000, 0xFFEFFFFFFFFFFFFF, 0xBFF0000000000000, 0x8010000000000000,
                0x8000000000000001, 0x8000000000000000, 0, 1, 0x10000000000000, 0x3FF0000000000000,
                0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF0000000000001, 0x7FF8000000000000,
                0x7FFFFFFFFFFFFFFF, 0xFFF8000000000000, 0xFFFFFFFFFFFFFFFF]
    if kind == "f32":
        return [0xFF800000, 0xFF7FFFFF, 0xBF800000, 0x80800000, 0x80000001, 0x80000000, 0, 1,
                0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0xFFC00000,
                0xFFFFFFFF]
    if kind in ("uuid", "fixed"):
        return [bytes(width), bytes(range(width)), b"\x80" * width, b"\xff" * width]
    if kind == "string":
        return [b"", b"\x00", b"\x00\x00", b"\x00\x01", b"\x01", b"a", b"a\x00", b"a\x00b", b"ab",
                "\u00e4\u20ac\U0001f600".encode(), b"z" * 31, b"z" * 31 + b"\x00", b"z" * 64]
    return [b"", b"\x00", b"\x00\x00", b"\x00\x01", b"\x00\xfe", b"\x00\xff", b"\x01", b"a",
            b"a\x00", b"\xfe", b"\xff", b"\xff\x00", b"\xff\xff", b"\x00" * 33, b"\x80" * 40]


TYPES = [(t, t, 0) for t in [*UNSIGNED, *SIGNED, "f32", "f64", "bool", "string", "binary"]]
TYPES += [("decimal128", "decimal128(2)", 0), ("uuid", "uuid", 16), ("fixed", "fixed(5)", 5)]


def key_cases():
    draw = random.Random(2)
    for kind, text, width in TYPES:
        for value in boundary_values(kind, width):
            yield text, [value]
            yield "desc " + text, [value]
        for form in ("nullable %s", "nullable %s nulls last", "desc nullable %s",
                     "desc nullable %s nulls last"):
            yield form % text, [None]
            yield form % text, [boundary_values(kind, width)[1]]
    for _ in range(400):
        texts, row = [], []
        for kind, text, width in draw.choices(TYPES, k=draw.randint(2, 5)):
            nullable = draw.random() < 0.4
            last = nullable and draw.random() < 0.5
            texts.append(("desc " if draw.random() < 0.5 else "") +
                         ("nullable " if nullable else "") + text + (" nulls last" if last else ""))
            values = boundary_values(kind, width) + ([None] * 4 if nullable else [])
            row.append(draw.choice(values))
        yield ",".join(texts), row


def key_lines():
    yield "# memcomparable keys: schema | values | key"
    yield "# values, one space between: null, a decimal number, f:IEEE BITS, x:BYTES"
    for schema, row in key_cases():
        words = " ".join(word_of(t, v) for t, v in zip(schema.split(","), row))
        yield f"{schema} | {words} | {key_of(schema, row).hex()}"


def corrupt_lines():
    yield "# keys that no row has: schema | key | column at fault | why"
    cases = [
        ("u64", "00000000000000", 0, "cut"), ("u64", "", 0, "empty"),
        ("u64", "000000000000000000", 0, "a byte follows"), ("bool", "02", 0, "not a bool"),
        ("desc bool", "fd", 0, "not a bool"), ("desc bool", "00", 0, "not a bool"),
        ("f64", "7fffffffffffffff", 0, "-0.0"), ("desc f64", "8000000000000000", 0, "-0.0"),
        ("f64", "fff0000000000001", 0, "another NaN"), ("f64", "fff8000000000001", 0, "another NaN"),
        ("f64", "0007ffffffffffff", 0, "a negative NaN"), ("f64", "0000000000000000", 0, "NaN, all bits"),
        ("f32", "7fffffff", 0, "-0.0"), ("f32", "ff800001", 0, "another NaN"),
        ("f32", "00000000", 0, "a negative NaN"),
        ("nullable u8", "02", 0, "null last, and nulls are first"),
        ("nullable u8 nulls last", "00", 0, "null first, and nulls are last"),
        ("nullable u8", "0305", 0, "no marker"), ("nullable u8", "", 0, "no marker"),
        ("nullable u8", "01", 0, "marker without value"), ("nullable u8", "0005", 0, "null and a value"),
        ("desc nullable u8", "ff05", 0, "a complemented marker"),
        ("decimal128(2)", "ff" * 16, 0, "39 digits"), ("decimal128(2)", "00" * 16, 0, "39 digits"),
        ("string", "61", 0, "no end"), ("string", "6100", 0, "half an end"), ("string", "", 0, "no end"),
        ("string", "610002", 0, "00 02"), ("string", "610000", 0, "00 00"),
        ("string", "ff0001", 0, "not UTF-8"), ("string", "c30001", 0, "half a character"),
        ("string", "c0800001", 0, "overlong"), ("string", "eda0800001", 0, "a surrogate"),
        ("string", "f49080800001", 0, "past 10FFFF"), ("string", "61000162", 0, "a byte follows"),
        ("desc binary", "9eff", 0, "half an end"), ("desc binary", "9efffd", 0, "FF FD"),
        ("uuid", "00" * 15, 0, "cut"), ("fixed(3)", "0000", 0, "cut"),
        ("u8,string", "0561", 1, "no end"), ("string,u8", "610001", 1, "cut"),
        ("u8,nullable u8,u8", "05030607", 1, "no marker"),
        ("binary", "61" * 32769 + "0001", 0, "longer than 32768"),
    ]
    for schema, key, column, why in cases:
        yield f"{schema} | {key} | {column} | {why}"
    ten38 = 10**38
    for value in (ten38, -ten38):
        key = (value + (1 << 127)).to_bytes(16, "big").hex()
        yield f"decimal128(0) | {key} | 0 | 10^38 has 39 digits"


FILES = {"hash.txt": hash_lines, "keys.txt": key_lines, "keys_corrupt.txt": corrupt_lines}


def main():
    if any(a in ("-h", "--help") for a in sys.argv[1:]):
        print(open(__file__, encoding="utf-8").read().split("\nimport")[0].split("\n", 1)[1])
        return
    check = "--check" in sys.argv[1:]
    print(check_against_cpython())
    for name, lines in FILES.items():
        path = os.path.join(HERE, name)
        text = "# version 1\n" + "".join(line + "\n" for line in lines())
        if not check:
            with open(path, "w", encoding="ascii") as out:
                out.write(text)
            print(f"{name}: {text.count(chr(10))} lines written")
            continue
        with open(path, encoding="ascii") as stored:
            for number, (a, b) in enumerate(zip(stored.read().split("\n"), text.split("\n")), 1):
                if a != b:
                    sys.exit(f"{name}:{number}: stored {a!r}, computed {b!r}")
        if os.path.getsize(path) != len(text):
            sys.exit(f"{name}: stored {os.path.getsize(path)} bytes, computed {len(text)}")
        print(f"{name}: {text.count(chr(10))} lines equal")


if __name__ == "__main__":
    main()
