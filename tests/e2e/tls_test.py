#!/usr/bin/env python3
# usage: tests/e2e/tls_test.py PROGRAM PRODUCER [Class[.case]]
"""Rows over TLS: who comes in, what the others are told, and what check says of the files."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import certificates
import tcp_jobs
from tcp_jobs import PATIENCE_S, ROOT, total

CONFIG = 3
SERVER = 'tls_cert = "server.pem"\ntls_key = "server.key"'
CLIENTS = SERVER + '\ntls_clients = "authority.pem"'
FILES = ""  # the certificates and keys of all cases


def setUpModule():
    global FILES
    FILES = tempfile.mkdtemp(prefix="cst-tls-")
    certificates.authority(FILES, "authority")
    certificates.authority(FILES, "stranger")
    certificates.signed(FILES, "server", "authority")
    certificates.signed(FILES, "client", "authority")


def tearDownModule():
    shutil.rmtree(FILES)


class Secret(tcp_jobs.Client):
    """A client over TLS."""

    def __init__(self, address, trust):
        super().__init__(address)
        self.socket = trust.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def is_told(self, seconds):
        self.socket.settimeout(seconds)  # the socket tells nothing of what is decrypted already
        while b"\n" not in self.input:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                return False
            if not more:
                return True
            self.input += more
        return True


class Jobs(tcp_jobs.Jobs):
    def setUp(self):
        super().setUp()
        for name in os.listdir(FILES):
            shutil.copy(os.path.join(FILES, name), self.folder)

    def secret(self, address, ca="authority", own=None):
        self.clients.append(Secret(address, certificates.trust(self.folder, ca, own)))
        return self.clients[-1]

    def failures(self, lines):
        """{reason: count}"""
        begin = 'constellation_push_tls_failures_total{reason="'
        metrics = [line["metrics"] for line in lines if line["event"] == "metrics"][-1]
        return {name[len(begin):-2]: count for name, count in metrics.items()
                if name.startswith(begin)}


class Rows(Jobs):
    def test_rows_over_tls_count_once(self):
        self.job(SERVER)
        process, address = self.serve()
        stalled = self.client(address)
        stalled.send(b"\x16\x03\x01\x02")  # a handshake that does not go on: nobody waits for it
        client = self.secret(address)
        self.assertEqual(client.hello("a"), 1)
        client.rows(1, 2000)
        client.until_ack(2000)
        client.socket.close()
        client = self.secret(address)
        self.assertEqual(client.hello("a"), 2001)
        client.rows(1001, 1500)
        client.until_ack(2500)
        self.finish(process)
        self.catch_up()
        self.assertEqual(self.results(), {1: (2500, total(2500), 0)})

    def test_clients_without_a_certificate_that_is_signed_are_refused(self):
        self.job(CLIENTS)
        process, address = self.serve()
        good = self.secret(address, own="client")
        self.assertEqual(good.hello("good"), 1)
        for own in (None, "stranger"):
            with self.assertRaises(ssl.SSLError):  # TLS 1.3 says so behind the handshake
                bad = self.secret(address, own=own)
                bad.hello("bad")
        good.rows(1, 10)
        good.until_ack(10)
        lines = self.finish(process)
        self.assertEqual(self.failures(lines), {"certificate": 2})
        self.assertEqual(self.metric(lines, 'constellation_push_refusals_total{code="CST_TLS"}'), 2)
        self.assertIn("tls_failed from=127.0.0.1 reason=certificate", self.said)

    def test_plain_text_where_tls_is_and_tls_where_it_is_not_are_told(self):
        self.job(SERVER)
        process, address = self.serve()
        plain = self.client(address)
        plain.send({"producer": "a"})
        told = plain.read()
        self.assertEqual((told["error"], told["seq"]), ("CST_TLS", 0))
        self.assertIsNone(plain.read())
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.secret(address, ca="stranger")
        lines = self.finish(process)
        self.assertEqual(self.failures(lines), {"plain_text": 1, "alert": 1})
        self.job()
        process, address = self.serve()
        with self.assertRaises(ssl.SSLError):
            self.secret(address)
        lines = self.finish(process)
        self.assertEqual(self.metric(lines, 'constellation_push_refusals_total{code="CST_TLS"}'), 1)


class Check(Jobs):
    def check(self, source):
        self.job(source)
        done = subprocess.run([tcp_jobs.PROGRAM, "check", "job.toml"], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_good_files_are_said(self):
        status, said = self.check(CLIENTS)
        self.assertEqual(status, 0, said)
        self.assertIn("over TLS, by a certificate from 20", said)
        self.assertIn("producers have to show one, too", said)

    def test_an_expired_certificate_is_a_warning(self):
        certificates.openssl(self.folder, "x509", "-in", "authority.pem", "-signkey",
                             "authority.key", "-days", "-1", "-out", "server.pem")
        shutil.copy(os.path.join(self.folder, "authority.key"),
                    os.path.join(self.folder, "server.key"))
        status, said = self.check(SERVER)
        self.assertEqual(status, 0, said)
        self.assertIn("It is over", said)
        process, _ = self.serve()
        self.finish(process)
        self.assertIn("tls_certificate_not_valid", self.said)

    def test_what_is_wrong_is_said_with_setting_file_and_line(self):
        where = os.path.join(self.folder, "")
        cases = [
            ('tls_cert = "server.pem"', "[source] tls_cert needs tls_key, too"),
            ('tls_key = "server.key"', "[source] tls_key needs tls_cert, too"),
            ('tls_clients = "authority.pem"', "[source] tls_clients needs both others, too"),
            ('tls_cert = "none.pem"\ntls_key = "server.key"',
             f"[source] tls_cert: {where}none.pem: No such file or directory"),
            ('tls_cert = "server.pem"\ntls_key = "client.key"',
             f"[source] tls_key: {where}client.key: the key does not belong to the certificate in "
             f"{where}server.pem"),
            ('tls_cert = "server.key"\ntls_key = "server.key"',
             f"[source] tls_cert: {where}server.key: no certificate in PEM"),
            (SERVER + '\ntls_clients = "job.toml"',
             f"[source] tls_clients: {where}job.toml: no certificate in PEM"),
        ]
        for source, wanted in cases:
            with self.subTest(source):
                status, said = self.check(source)
                self.assertEqual(status, CONFIG, said)
                self.assertIn(wanted, said)
                self.assertRegex(said, r"job.toml:\d+:\d+: \[source\]")
        process = self.start()
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, CONFIG, err)


class Producers(Jobs):
    def c(self, address, *files, rows=500):
        paths = [os.path.join(self.folder, name) for name in files]
        return subprocess.run([tcp_jobs.PRODUCER, address, "shop-1", str(rows), *paths], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              timeout=PATIENCE_S)

    def example(self, source):
        with open(os.path.join(ROOT, "examples/tcp.toml"), encoding="utf-8") as file:
            text = file.read().replace("127.0.0.1:7000", "127.0.0.1:0")
        with open(os.path.join(self.folder, "job.toml"), "w", encoding="utf-8") as file:
            file.write(text.replace("[key]", source + "\n[key]"))

    def test_the_producer_in_c_takes_the_server_that_it_should_and_no_other(self):
        self.example(CLIENTS)
        process, address = self.serve()
        for ca in ("authority.pem", "server.pem"):
            done = self.c(address, ca, "client.pem", "client.key")
            self.assertEqual((done.returncode, done.stdout), (0, "500 rows are acknowledged\n"),
                             done.stderr)
        cases = [(["stranger.pem", "client.pem", "client.key"], "certificate"),
                 (["authority.pem"], "the other side refuses"),
                 (["none.pem"], "none.pem: No such file or directory"),
                 (["authority.pem", "client.pem", "server.key"], "does not belong"),
                 ([], "CST_TLS")]
        for files, wanted in cases:
            with self.subTest(files):
                done = self.c(address, *files)
                self.assertEqual(done.returncode, 1)
                self.assertIn(wanted, done.stderr)
        self.finish(process)

    def test_the_producer_in_c_knows_a_server_by_its_address(self):
        certificates.openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
                             "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=elsewhere",
                             "-addext", "subjectAltName=DNS:elsewhere", "-keyout", "server.key",
                             "-out", "server.pem")
        self.example(SERVER)
        process, address = self.serve()
        done = self.c(address, "server.pem")
        self.assertEqual(done.returncode, 1)
        self.assertIn("IP address mismatch", done.stderr)
        self.finish(process)

    def test_the_producer_in_python_over_tls(self):
        self.example(CLIENTS)
        rows = subprocess.run([tcp_jobs.PROGRAM, "generate", "bids", "--rows", "2000", "--format",
                               "ndjson"], check=True, stdout=subprocess.PIPE).stdout
        process, address = self.serve()
        for _ in range(2):
            subprocess.run([sys.executable, os.path.join(ROOT, "examples/producer.py"), address,
                            "shop-1", "authority.pem", "client.pem", "client.key"], input=rows,
                           cwd=self.folder, check=True, timeout=PATIENCE_S)
        lines = self.finish(process)
        self.assertEqual(self.metric(lines, "constellation_push_rows_total"), 2000)
        self.assertEqual(self.failures(lines), {})


if __name__ == "__main__":
    tcp_jobs.main()
