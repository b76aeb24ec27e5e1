"""What a machine must have: one thing that was looked at, in words that ``doctor`` shows and ``up`` refuses with."""

import socket
from dataclasses import dataclass

from stack.environment import HOST

GIB = 1024**3


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    got: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}; got {self.got}; {self.remedy}"


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
