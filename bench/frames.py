# SPDX-License-Identifier: MIT
"""Reading and writing framed datagrams of sessions, without network and daemon."""

import json

import msgd_test


def measure(_msgd, _folder, _is_quick, is_tiny):
    result = msgd_test.run([msgd_test.build_path("frames"), *(["--tiny"] if is_tiny else [])], timeout=120)
    assert result.returncode == 0, result.stderr
    return {"frames": json.loads(result.stdout)}


def lines(figures):
    yield "a datagram of a session       read      written"
    for row in figures["frames"]:
        yield f"{row['header']} + {row['body']:>6} bytes     {row['read_ns']:>8} ns {row['write_ns']:>8} ns"
