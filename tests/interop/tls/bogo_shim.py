#!/usr/bin/python3 -IS
# SPDX-License-Identifier: Apache-2.0
"""What BoGo's runner takes for the program under test: it gives its flags to the test, which has the daemon (bogo_broker.py), and ends as that says."""

import json
import os
import socket
import sys

if "-is-handshaker-supported" in sys.argv:
    print("No")
    sys.exit(0)
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(os.environ["MELTEMI_BOGO"])
    sock.sendall(json.dumps([os.fsencode(word).decode("latin-1") for word in sys.argv[1:]]).encode() + b"\n")
    answer = json.loads(sock.makefile("rb").readline() or b'{"status": 70, "says": "the test has ended"}')
sys.stderr.write(answer["says"])
sys.exit(answer["status"])
