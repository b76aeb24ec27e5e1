"""
One turn of the loop in a network namespace that has loopback and nothing else; run by test_0_offline.py.

Prints how many packets had no way to go: the kernel counts each attempt to reach another machine, a name server too.
"""

import fcntl
import json
import shutil
import socket
import struct
from pathlib import Path

from stack.cli.stack import Stack

NAME, DATASET = "offline", "boston_housing"
SET_FLAGS, UP_AND_RUNNING = 0x8914, 0x1 | 0x40  # of linux/sockios.h and linux/if.h


def raise_loopback():
    """Bring ``lo`` up; there is no program in every image that does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH22x", b"lo", UP_AND_RUNNING))


def attempts():
    """How often something in this namespace tried to reach another machine."""
    names, values = [line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")]
    old = int(dict(zip(names, values, strict=True))["OutNoRoutes"])
    file = Path("/proc/net/snmp6")
    new = dict(line.split() for line in file.read_text().splitlines()) if file.exists() else {}
    return old + int(new.get("Ip6OutNoRoutes", 0))


def try_to_leave():
    """Try to reach another machine, as a check that attempts are counted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return any_socket.connect_ex(("192.0.2.1", 53))


def tell():
    """Start a stack, train on one batch and let its version serve; leave nothing behind."""
    stack = Stack(NAME)
    stack.runtime.wipe()
    shutil.rmtree(stack.state, ignore_errors=True)
    try:
        stack.up(DATASET, None, BATON_SLICES="1", BATON_TREES="4")
        pipeline = stack.pipeline()
        version = pipeline.wait_for_version_trained_on(pipeline.drop_batch())
        pipeline.wait_until_served(version)
        return version
    finally:
        stack.runtime.wipe()


if __name__ == "__main__":
    raise_loopback()
    before = attempts()
    version = tell()
    made = attempts() - before
    try_to_leave()
    print(json.dumps({"version": version, "attempts": made, "counted": attempts() - before - made}))  # noqa: T201
