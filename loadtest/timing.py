"""
How long requests waited: percentiles, silences and hand-overs, as pure functions of who waited from when to when.

A silence is an answer gap: no answer comes while one is due. It is counted per partition, because a stalled partition
hides behind a lively one, and only while an acknowledged request waits, because a sender that rests is no silence.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import quantiles

from apps.common.messages import Answer, Position, Send

AROUND_S = 5  # how far before and after a hand-over a silence counts as its own

Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RequestWait:
    """One acknowledged request, from ``sent_at`` to its first answer (None: it has none)."""

    partition: int
    sent_at: float
    answer: Answer | None

    @property
    def ms(self) -> float | None:
        """The latency of the first answer."""
        return None if self.answer is None else (self.answer.seen_at - self.sent_at) * 1000


@dataclass(frozen=True)
class Latency:
    """The distribution of latencies, or of how late requests were sent, in milliseconds; None when there is none."""

    count: int
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    worst_ms: float | None = None


def latency(waits: Iterable[RequestWait]) -> Latency:
    """Measure the answered ones of ``waits``."""
    return distribution([wait.ms for wait in waits if wait.ms is not None])


def lateness(sends: Iterable[Send]) -> Latency:
    """How far behind its schedule the sender handed each request over: what it adds to no latency, and hides."""
    return distribution([send.late_s * 1000 for send in sends if send.late_s is not None])


def distribution(ms: Sequence[float]) -> Latency:
    """Measure any milliseconds."""
    if not ms:
        return Latency(0)
    cuts = quantiles([*ms, *ms] if len(ms) == 1 else ms, n=1000, method="inclusive")  # it wants two
    p50, p95, p99, p999 = (cuts[at - 1] for at in (500, 950, 990, 999))
    return Latency(len(ms), p50, p95, p99, p999, max(ms))


def outside(waits: Iterable[RequestWait], spans: Sequence[Span]) -> list[RequestWait]:
    """The waits that touch none of ``spans`` (from, to), such as trainings."""
    return [wait for wait in waits if not any(_touches(wait, span) for span in spans)]


def _touches(wait: RequestWait, span: Span) -> bool:
    ended = wait.answer.seen_at if wait.answer else float("inf")
    return wait.sent_at <= span[1] and ended >= span[0]


@dataclass(frozen=True)
class Silence:
    """A stretch in one partition during which a request waited and no first answer came."""

    partition: int
    began: float
    ended: float

    @property
    def ms(self) -> float:
        """Its length."""
        return (self.ended - self.began) * 1000


def silences(waits: Iterable[RequestWait], until: float) -> list[Silence]:
    """Every silence; a request that is never answered waits ``until`` the end."""
    found: list[Silence] = []
    by_partition = sorted(waits, key=lambda wait: wait.partition)
    for partition, group in groupby(by_partition, key=lambda wait: wait.partition):
        found += _silences_of(partition, list(group), until)
    return found


def _silences_of(partition: int, waits: list[RequestWait], until: float) -> list[Silence]:
    steps = [(wait.sent_at, 1) for wait in waits]
    steps += [(wait.answer.seen_at, -1) for wait in waits if wait.answer]
    found, waiting, began = [], 0, 0.0
    for moment, step in sorted(steps, key=lambda step: (step[0], -step[1])):
        if step > 0:
            began = began if waiting else moment
        else:
            found.append(Silence(partition, began, moment))
            began = moment
        waiting += step
    return [*found, Silence(partition, began, until)] if waiting else found


def longest(several: Iterable[Silence]) -> Silence | None:
    """The longest silence."""
    return max(several, key=lambda silence: silence.ms, default=None)


@dataclass(frozen=True)
class Handover:
    """
    One release taking over from another, as a reader of answers sees it.

    ``at`` is the first answer that was new and the new release's own. ``overlap_s`` is how long both releases
    answered, ``repeats`` the answers given twice by it, and ``late`` the first answers that the old one still gave.
    """

    release: int
    version: str
    after_release: int
    at: float
    silence_ms: float
    overlap_s: float
    repeats: int
    late: int


def handovers(answers: Sequence[Answer], firsts: Sequence[Answer], all_silences: Sequence[Silence]) -> list[Handover]:
    """Each change to a higher release among ``firsts``; ``answers`` are these and their repeats, in reading order."""
    changes: list[tuple[Answer, Answer]] = []
    newest: Answer | None = None
    for answer in firsts:
        if newest and answer.release > newest.release:
            changes.append((newest, answer))
        if newest is None or answer.release > newest.release:
            newest = answer
    first_at = {answer.position: answer for answer in firsts}
    return [_handover(old.release, new, answers, first_at, all_silences) for old, new in changes]


def _handover(
    old: int, new: Answer, answers: Sequence[Answer], first_at: dict[Position, Answer], all_silences: Sequence[Silence]
) -> Handover:
    by_old = [answer.seen_at for answer in answers if answer.release == old]
    by_new = [answer.seen_at for answer in answers if answer.release == new.release]
    between = {old, new.release}
    from_s, to_s = new.seen_at - AROUND_S, new.seen_at + AROUND_S
    near = [silence for silence in all_silences if silence.ended >= from_s and silence.began <= to_s]
    worst = longest(near)
    return Handover(
        release=new.release,
        version=new.model_version,
        after_release=old,
        at=new.seen_at,
        silence_ms=worst.ms if worst else 0.0,
        overlap_s=max(0.0, max(by_old) - min(by_new)),
        repeats=sum(1 for answer in answers if {answer.release, first_at[answer.position].release} == between),
        late=sum(1 for answer in first_at.values() if answer.release == old and answer.seen_at > new.seen_at),
    )
