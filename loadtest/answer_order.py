"""
The check of the order: one process answers the requests of a partition one after the other, and leaves none out.

On this rests where the next server begins (docs/decisions/0001), so it is judged by itself: a request that one process
left out and another answered is nobody's loss, and a broken promise all the same.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.common.messages import Answer, Send

KEPT = 20  # breaks that are told one by one; the others are counted


@dataclass(frozen=True, slots=True)
class OrderBreak:
    """An answer that does not follow the one before it of the same process and partition, and why."""

    process: str
    partition: int
    offset: int
    reason: str


@dataclass(frozen=True)
class OrderJudgement:
    """How many answers could be held against the one before of their process, and which broke the order."""

    judged: int
    broken: int
    first: tuple[OrderBreak, ...]  # at most KEPT of them


class _Order:
    """What is remembered of each process and partition: its first answer and its newest."""

    def __init__(self, sends: Iterable[Send], *, executors: bool) -> None:
        """The requests that were acknowledged are those that nobody may leave out."""
        self._executors = executors
        self._acknowledged: dict[int, list[int]] = defaultdict(list)
        for send in sends:
            if send.acknowledged and send.position:
                self._acknowledged[send.position[0]].append(send.position[1])
        for offsets in self._acknowledged.values():
            offsets.sort()
        self._first: dict[tuple[object, ...], int] = {}
        self._newest: dict[tuple[object, ...], int] = {}
        self.judged = 0

    def note(self, answer: Answer) -> str | None:
        """Take in the next answer of the topic; return why it breaks the order."""
        if answer.process is None:
            return None
        writer = answer.release, answer.process, answer.topic_id, answer.in_partition
        first = self._first.setdefault(writer, answer.in_offset)
        before, self._newest[writer] = self._newest.get(writer), answer.in_offset
        if before is None:
            return None
        self.judged += 1
        if answer.in_offset <= before:
            again = self._executors and answer.in_offset >= first
            return None if again else f"it went back from {before} to {answer.in_offset}"
        left_out = self._next_acknowledged(answer.in_partition, before)
        passed = left_out is not None and left_out < answer.in_offset
        return f"it went on from {before} to {answer.in_offset} and left out {left_out}" if passed else None

    def _next_acknowledged(self, partition: int, offset: int) -> int | None:
        offsets = self._acknowledged.get(partition, [])
        place = bisect_right(offsets, offset)
        return offsets[place] if place < len(offsets) else None


def judge_order(sends: Iterable[Send], answers: Sequence[Answer], *, executors: bool = False) -> OrderJudgement:
    """
    Judge ``answers``, all that a reader saw, each partition in the order of its topic.

    An offset at which no acknowledged request stands (a commit marker's, one that expired) may be left out. A server
    with ``executors`` that loses one answers again from where its task began: it may go back so far, and leave
    nothing out. An answer that names no process is not judged.
    """
    order = _Order(sends, executors=executors)
    broken, first = 0, []
    for answer in answers:
        if reason := order.note(answer):
            broken += 1
            if broken <= KEPT:
                first.append(OrderBreak(answer.process or "", answer.in_partition, answer.in_offset, reason))
    return OrderJudgement(order.judged, broken, tuple(first))
