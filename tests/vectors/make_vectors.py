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


FILES = {"hash.txt": hash_lines}


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


main()
