"""
Whether an infer that is sent now would be answered, as far as the two topics tell it.

Nothing else is asked: no server, no MLflow, no Kubernetes. So the gateway is the same in both modes, and knows of a
hand-over or of a standby what every reader knows. It is ready when

1. it has read both topics to where they ended at its start,
2. Kafka has answered it within the last seconds,
3. some server has answered at all: the newest answers are read, however old they are, and where there is none the
   gateway asks once itself, by a probe such as a starting server sends, which the first server answers,
4. and no request, whoever sent it, has waited for longer than an infer would wait (``timeout_s``).

Beside that it knows of itself that Kafka acknowledges what it hands over (``Asking.waits_for``).

What it cannot know: a server that died while nobody asked anything looks as one that has nothing to do. The first
requests after that wait, and then the fourth rule turns others away until they are answered.

Places in a partition are compared by time first: a broker that lost the end of its log uses offsets again.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from apps.common.messages import Answer

Place = tuple[int, int]  # the broker's timestamp of a request in milliseconds, and its offset
START: Place = (-1, -1)
MARK_MS = 1000  # requests of about a second are one mark, so that a day of them is not much
OVERLAP_MS = 10_000  # so long after the answers of a newer release an older one's may come: a hand-over
KAFKA_S = 6  # without a word of Kafka before it counts as away


@dataclass(slots=True)
class WaitingMark:
    """Some requests of one partition that wait: when the first was sent, and where the last stands."""

    since: int
    last: Place


@dataclass(frozen=True, slots=True)
class Serving:
    """What answers now."""

    version: str
    release: int


class AnswerProgress:
    """How far the requests of each partition are answered, and by whom."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._done: dict[int, Place] = {}
        self._waiting: dict[int, deque[WaitingMark]] = {}
        self._releases: dict[int, tuple[int, str]] = {}  # release -> when its newest answer came, and its version
        self._newest = 0  # the highest release of which an answer was read

    def asked(self, partition: int, offset: int, timestamp: int) -> None:
        """A request was read."""
        if (timestamp, offset) <= self._done.get(partition, START):
            return
        marks = self._waiting.setdefault(partition, deque())
        if marks and timestamp - marks[-1].since < MARK_MS:
            marks[-1].last = (timestamp, offset)
        else:
            marks.append(WaitingMark(timestamp, (timestamp, offset)))

    def answered(self, answer: Answer, at_ms: int) -> None:
        """An answer was read, which the broker took at ``at_ms``."""
        partition = answer.in_partition
        place = (answer.in_timestamp or at_ms, answer.in_offset)
        done = self._done[partition] = max(place, self._done.get(partition, START))
        marks = self._waiting.get(partition, deque())
        while marks and marks[0].last <= done:
            marks.popleft()
        if marks:
            marks[0].since = max(marks[0].since, done[0])
        if answer.model:
            self._newest = max(self._newest, answer.release)
        before, _ = self._releases.get(answer.release, (0, ""))
        self._releases[answer.release] = max(before, at_ms), answer.model_version

    def overtaken(self, release: int) -> bool:
        """Whether a newer release has ever answered."""
        return release < self._newest

    def waiting_since(self) -> int | None:
        """When the oldest request was sent that waits, to a second; None when none waits."""
        return min((marks[0].since for marks in self._waiting.values() if marks), default=None)

    def answering(self) -> list[Serving]:
        """
        What answers, the newest release first; of several any may be the one that stays.

        During a hand-over two releases answer, and the newer one stays; one that failed its proof soon answers no more,
        which nobody sees while nobody asks.
        """
        newest = max((at for at, _ in self._releases.values()), default=0)
        self._releases = {one: told for one, told in self._releases.items() if told[0] >= newest - OVERLAP_MS}
        return [Serving(self._releases[release][1], release) for release in sorted(self._releases, reverse=True)]

    def serving(self) -> Serving | None:
        """What answers now, as far as anybody can tell; None when nobody ever did."""
        return next(iter(self.answering()), None)


def waits_for(
    progress: AnswerProgress, unread: Iterable[str], kafka_silent_s: float, now_ms: float, timeout_s: float
) -> str:
    """What the gateway waits for before it takes an infer; "" when it is ready. ``unread`` are topics."""
    if topics := sorted(set(unread)):
        return f"{' and '.join(topics)} must be read to the end first; they are being read; wait"
    if kafka_silent_s > KAFKA_S:
        return f"Kafka must answer; it has been silent for {kafka_silent_s:.0f} s; wait, or see its log"
    if progress.serving() is None:
        return "a version must serve; none has answered yet; drop a batch, or wait until its version serves"
    since = progress.waiting_since()
    waited_s = 0.0 if since is None else (now_ms - since) / 1000
    if waited_s > timeout_s:
        return f"requests must be answered within {timeout_s:g} s; the oldest has waited for {waited_s:.0f} s; wait"
    return ""
