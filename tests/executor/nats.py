#!/usr/bin/python3
"""Speaks to a NATS server, for tests/executor/cluster.bats.

    nats.py URL send SUBJECT HEX         sends a message
    nats.py URL request SUBJECT TEXT     sends a message, and prints the answer
    nats.py URL first SUBJECT            prints the subject of the next message, and its bytes
                                         in hexadecimal; says "ready" when it listens
"""
import socket
import sys
from urllib.parse import urlparse


class Connection:
    def __init__(self, url):
        place = urlparse(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=20)
        self.lines = self.socket.makefile("rb")
        self.lines.readline()  # INFO
        self.write('CONNECT {"verbose":false,"headers":true}')

    def write(self, line, payload=None):
        tail = b"" if payload is None else payload + b"\r\n"
        self.socket.sendall(line.encode() + b"\r\n" + tail)

    def flush(self):
        self.write("PING")
        while self.lines.readline().strip() != b"PONG":
            pass

    def message(self):
        """The next message: its subject and its bytes."""
        while True:
            words = self.lines.readline().split()
            if words[0] == b"MSG":
                payload = self.lines.read(int(words[-1]) + 2)[:-2]
                return words[1].decode(), payload


def main():
    url, what, subject = sys.argv[1:4]
    connection = Connection(url)
    if what == "send":
        payload = bytes.fromhex(sys.argv[4])
        connection.write(f"PUB {subject} {len(payload)}", payload)
        connection.flush()
    elif what == "request":
        payload = sys.argv[4].encode()
        connection.write("SUB answers 1")
        connection.write(f"PUB {subject} answers {len(payload)}", payload)
        print(connection.message()[1].decode())
    elif what == "first":
        connection.write(f"SUB {subject} 1")
        connection.flush()
        print("ready", flush=True)
        subject, payload = connection.message()
        print(subject, payload.hex())


main()
