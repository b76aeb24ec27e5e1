"""
The sending process: requests on the plan's schedule, until its time is over or its standard input ends.

A process of its own, so that nothing that the prover reads, prints or waits for delays a request.
"""

import itertools
import secrets
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from apps.common import starter
from apps.common.errors import BatonError
from apps.common.request_sender import RequestSender, connect, finish
from apps.common.send_journal import SendWriter
from loadtest.prover.plan import PAYLOADS, SENDS, Plan

FLUSH_AT_END_S = 45


def payloads(plan: Plan, folder: Path) -> Iterator[bytes]:
    """What each request says: a line of the given file after the other, again and again, or a number of its own."""
    file = folder / PAYLOADS
    lines = file.read_bytes().splitlines() if file.exists() else []
    usual = itertools.cycle(lines) if lines else (b'{"request": %d}' % number for number in itertools.count())
    for number, payload in enumerate(usual):
        poison = plan.poison_of(number)
        yield poison[1].encode() if poison else payload


def main(place: str) -> None:
    """Send; ``place`` is the proof's folder."""
    folder = Path(place)
    plan = Plan.read(folder)
    stop = threading.Event()
    starter.when_gone(stop.set)
    journal = SendWriter(folder / SENDS)
    producer = connect(plan.access, linger_ms=0)
    sender = RequestSender(producer, plan.requests, journal, plan.rate, 0, stop)
    try:
        for number, payload in enumerate(payloads(plan, folder)):
            if not sender.wait_for_turn():
                break
            sender.send(plan.request_id(number), payload)
    finally:
        finish(producer, FLUSH_AT_END_S)
        journal.close()


def new_run() -> str:
    """What the ids of a new proof begin with."""
    return f"prove-{secrets.token_hex(4)}"


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except BatonError as error:
        sys.exit(str(error))
