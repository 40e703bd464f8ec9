"""Certificates and keys that a test makes for itself, with the openssl program."""

import os
import ssl
import subprocess

ADDRESS = "subjectAltName=IP:127.0.0.1,DNS:rows.test"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


def authority(folder, name):
    """NAME.pem and NAME.key, which sign for themselves and for others."""
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "30", "-subj", f"/CN={name}", "-addext", ADDRESS, "-keyout", f"{name}.key",
            "-out", f"{name}.pem")


def signed(folder, name, by):
    """NAME.pem and NAME.key, signed by an authority, of 127.0.0.1 and rows.test."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    with open(os.path.join(folder, f"{name}.ext"), "w", encoding="utf-8") as file:
        file.write(ADDRESS + "\nbasicConstraints=CA:FALSE\n")
    openssl(folder, "x509", "-req", "-days", "30", "-in", f"{name}.csr", "-CA", f"{by}.pem", "-CAkey",
            f"{by}.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem")


def both(folder, name):
    """The path of a file with certificate and key, as servers want them."""
    path = os.path.join(folder, f"{name}-both.pem")
    with open(path, "w", encoding="ascii") as out:
        for part in ("pem", "key"):
            with open(os.path.join(folder, f"{name}.{part}"), encoding="ascii") as one:
                out.write(one.read())
    return path


def trust(folder, ca, own=None):
    """What a client in Python takes, and shows."""
    context = ssl.create_default_context(cafile=os.path.join(folder, f"{ca}.pem"))
    if own:
        context.load_cert_chain(os.path.join(folder, f"{own}.pem"),
                                os.path.join(folder, f"{own}.key"))
    return context
