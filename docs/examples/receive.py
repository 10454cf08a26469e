#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A consumer of msgd in Python with nothing but its standard library.

    receive.py NAME [PORT]

Registers NAME (on PORT, or one that msgd chooses), prints each message on a line, answers it with
{"seq": its number}, and releases it. The control socket speaks Varlink (https://varlink.org): each
frame is a JSON object followed by a NUL byte.
"""
import json
import os
import socket
import sys


def socket_path():
    """The control socket: $MSGD_SOCKET, else the user's own msgd, else the system's."""
    if os.environ.get("MSGD_SOCKET"):
        return os.environ["MSGD_SOCKET"]
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/nonexistent"), "msgd/msgd.sock")
    return own if os.path.exists(own) else "/run/msgd/msgd.sock"


class Connection:
    """Calls out, replies in. A connection is the consumer of what it receives, until it closes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.buffer = b""

    def send(self, method, parameters, **flags):
        call = {"method": "io.msgd." + method, "parameters": parameters, **flags}
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def reply(self):
        """The next reply's parameters. A failed call raises, with what msgd says about it."""
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise SystemExit("receive.py: msgd has closed the connection")
            self.buffer += data
        frame, self.buffer = self.buffer.split(b"\0", 1)
        reply = json.loads(frame)
        if "error" in reply:
            raise SystemExit(f"receive.py: {reply['error']} {json.dumps(reply.get('parameters', {}))}")
        return reply.get("parameters", {})


def main():
    if len(sys.argv) not in (2, 3):
        raise SystemExit("usage: receive.py NAME [PORT]")
    connection = Connection(socket_path())

    # Register says which port it has become; Receive on the same connection takes the messages.
    wanted = {"name": sys.argv[1], "port": int(sys.argv[2]) if len(sys.argv) == 3 else 0}
    connection.send("Register", wanted)
    endpoint = connection.reply()
    print(f"receive.py: {endpoint['name']} at {endpoint['address']}:{endpoint['port']}",
          file=sys.stderr, flush=True)

    # "more": one reply a message, for as long as the connection lives. "manual": a message is ours
    # to release. If this program dies before, it comes again, to whoever registers the name next.
    connection.send("Receive", {"name": wanted["name"], "ack": "manual"}, more=True)
    while True:
        message = connection.reply()
        print(f"{message['from']} #{message['seq']}: {message['payload'].strip()}", flush=True)

        # "oneway" calls have no reply, so they may go out on the connection that is receiving.
        which = {key: message[key] for key in ("name", "generation", "seq")}
        answer = json.dumps({"seq": message["seq"]})
        connection.send("Reply", {**which, "payload": answer}, oneway=True)
        connection.send("Ack", which, oneway=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise SystemExit(f"receive.py: cannot reach msgd at {socket_path()}: {error.strerror}")
