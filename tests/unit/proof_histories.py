"""A proof as it should be, for the tests that change one thing in it: 400 requests in 4 s, a command in the middle."""

from dataclasses import replace

from apps.common.messages import Answer, Expected, Send
from loadtest.prover.history import (
    COMMAND,
    COMMAND_ENDED,
    ENDED,
    QUIET,
    SENDING,
    SENT,
    ProofEvent,
    ProofHistory,
    TopicRecord,
)
from loadtest.prover.plan import Plan

BEGAN = 1_000_000.0
COUNT = 400
PLAN = Plan("prove-1", "nowhere:1", "asked", "answered", rate=100, command="restart it")
EVENTS = [
    ProofEvent(SENDING, BEGAN),
    ProofEvent(COMMAND, BEGAN + 1),
    ProofEvent(COMMAND_ENDED, BEGAN + 2, exit_code=0),
    ProofEvent(SENT, BEGAN + 4),
    ProofEvent(QUIET, BEGAN + 4),
    ProofEvent(ENDED, BEGAN + 6),
]


def sent(number):
    """A request each 10 ms, on two partitions in turn."""
    at = BEGAN + number / 100
    return Send(PLAN.request_id(number), number % 2, number // 2, at, at + 0.001, late_s=0.0)


def echoed(number):
    """Its answer by a server that writes none of our headers."""
    return TopicRecord(PLAN.request_id(number), number % 2, number // 2, BEGAN + number / 100 + 0.005)


def named(number):
    """Its answer by a server of ours: release 2 with version 5 takes over in the middle."""
    release, version = (1, "4") if number < COUNT // 2 else (2, "5")
    place, seen_at = (number % 2, number // 2), BEGAN + number / 100 + 0.005
    process = f"process-{release}"
    return Answer(
        *(PLAN.request_id(number), *place, version, release, 100.0, None, seen_at),
        process=process,
        partition=number % 2,
    )


def expected():
    """What both versions must answer, each twice as the rescorer does."""
    return [
        Expected(version, number % 2, number // 2, 100.0, None, second_opinion=again)
        for version in "45"
        for number in range(COUNT)
        for again in (False, True)
    ]


def proof(answer=echoed, **plan):
    """Right in every way; ``plan`` is what the plan has beside the usual."""
    return ProofHistory(
        replace(PLAN, **plan),
        sends=[sent(number) for number in range(COUNT)],
        requests=[TopicRecord(PLAN.request_id(n), n % 2, n // 2, BEGAN + n / 100 + 0.002) for n in range(COUNT)],
        answers=[answer(number) for number in range(COUNT)],
        events=EVENTS,
    )


def without(answers, *numbers):
    """All but these."""
    return [one for at, one in enumerate(answers) if at not in numbers]
