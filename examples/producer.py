#!/usr/bin/env python3
# usage: producer.py HOST:PORT ID [CA.pem [CERT.pem KEY.pem]] < ROWS.ndjson
# Sends each line, a JSON object, as a row; ends when all are acknowledged. Run again with the same
# rows after anything went wrong, on either side: each of them counts once. With CA.pem rows go over
# TLS, to a server whose certificate CA.pem has signed, as who CERT.pem says.
"""A producer of rows over TCP, with the standard library alone."""

import json
import socket
import ssl
import sys
import time

WINDOW = 1000  # rows that may be under way


def connect(address, producer, tls):
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
    if tls:
        trust = ssl.create_default_context(cafile=tls[0])
        if tls[1:]:
            trust.load_cert_chain(*tls[1:])
        connection = trust.wrap_socket(connection, server_hostname=host.strip("[]"))
    lines = connection.makefile("rw", encoding="utf-8", newline="\n")
    lines.write(json.dumps({"producer": producer}) + "\n")
    lines.flush()
    return lines, answer(lines)["next"]


def answer(lines):
    line = lines.readline()
    if not line:
        raise ConnectionError("the connection was closed")
    told = json.loads(line)
    if "error" in told:
        sys.exit(f"producer: row {told['seq']}: {told['error']}: {told['message']}")
    return told


def send_all(address, producer, tls, rows):
    lines, number = connect(address, producer, tls)  # the server has the rows before this one
    acked = 0
    while acked < len(rows):
        while number <= len(rows) and number <= acked + WINDOW:
            lines.write('{"seq":%d,"row":%s}\n' % (number, rows[number - 1]))
            number += 1
        lines.flush()
        acked = answer(lines)["ack"]


def main():
    address, producer, *tls = sys.argv[1:]
    rows = [line.strip() for line in sys.stdin if line.strip()]
    while True:
        try:
            send_all(address, producer, tls, rows)
            return
        except OSError as error:
            print(f"producer: {error}: trying again", file=sys.stderr)
            time.sleep(0.2)


if __name__ == "__main__":
    main()
