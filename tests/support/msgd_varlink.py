# SPDX-License-Identifier: MIT
"""A small Varlink client: calls, pipelining, more, oneway, descriptors."""

import array
import json
import socket


class VarlinkError(Exception):
    """An error reply. name: without "io.msgd." where it is one of msgd's own."""

    def __init__(self, name, parameters):
        super().__init__(f"{name} {json.dumps(parameters)}")
        self.name = name.removeprefix("io.msgd.")
        self.parameters = parameters


class Closed(Exception):
    """The daemon has closed the connection."""


class Connection:
    """One connection to a control socket. Methods without a dot are of io.msgd."""

    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.descriptors = []
        self._buffer = bytearray()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, parameters=None, **flags):
        """Sends a call and waits for nothing. flags: more, oneway."""
        call = {"method": method if "." in method else "io.msgd." + method, **flags}
        if parameters is not None:
            call["parameters"] = parameters
        self.send_bytes(json.dumps(call).encode() + b"\0")

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send_descriptors(self, data, descriptors):
        """Sends bytes with descriptors beside the first of them."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        self.socket.sendmsg([data], ancillary)

    def receive_frame(self, timeout=None):
        """The next reply as it came: {"parameters": ..., "error": ..., "continues": ...}."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        while b"\0" not in self._buffer:
            self._fill()
        frame, _, rest = self._buffer.partition(b"\0")
        self._buffer = bytearray(rest)
        return json.loads(frame)

    def receive(self, timeout=None):
        """The next reply's parameters; raises VarlinkError for an error."""
        frame = self.receive_frame(timeout)
        if "error" in frame:
            raise VarlinkError(frame["error"], frame.get("parameters", {}))
        return frame.get("parameters", {})

    def call(self, method, **parameters):
        self.send(method, parameters)
        return self.receive()

    def oneway(self, method, **parameters):
        self.send(method, parameters, oneway=True)

    def stream(self, method, **parameters):
        """Calls with `more`; take the replies with receive()."""
        self.send(method, parameters, more=True)
        return self

    def _fill(self):
        room = socket.CMSG_SPACE(256 * 4)
        data, ancillary, _, _ = self.socket.recvmsg(262144, room)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                self.descriptors.extend(numbers)
        if not data:
            raise Closed()
        self._buffer += data
