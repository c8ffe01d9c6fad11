"""Holds an agent's link, so that there is an agent that is connected: says hello, reports a schema, believes whatever
certificate authority it is told of, and prints one line once it was greeted. Arguments: the control plane's host and port,
and a file with the JSON that api_fabric.py prints."""

import base64
import json
import os
import socket
import struct
import sys
from pathlib import Path

host, port = sys.argv[1].rsplit(":", 1)
token = json.loads(Path(sys.argv[2]).read_text())["agent"]
link = socket.create_connection((host, int(port)))
key = base64.b64encode(os.urandom(16)).decode()
link.sendall(
    f"GET /v1/agent/link HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
)
stream = link.makefile("rb")
status = stream.readline()
if b" 101 " not in status:
    sys.exit(status.decode())
while stream.readline().strip():
    pass


def send(opcode, payload):
    mask = os.urandom(4)
    size = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    link.sendall(head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))


def say(**message):
    send(1, json.dumps(message).encode())


say(type="hello", version=1, agent_version="0.0.0", addresses=["127.0.0.1:6432"], bundle_serial=1, directory_version=0)
say(type="schema_report", snapshot={"version": 2, "server_version": 170000, "relations": [], "functions": []})
greeted = False
while head := stream.read(2):
    opcode, size = head[0] & 0x0F, head[1] & 0x7F
    if size >= 126:
        size = int.from_bytes(stream.read(2 if size == 126 else 8), "big")
    payload = stream.read(size)
    if opcode == 9:
        send(10, payload)
    elif opcode == 8:
        sys.exit(f"the link ended: {payload[2:].decode()}")
    elif opcode == 1:
        if not greeted:
            print("connected", flush=True)
            greeted = True
        message = json.loads(payload)
        if message.get("type") == "ca_update":
            say(type="ca_status", version=message["version"])
