"""
The checks of each answer: does it stand where its request stands, and is it what its version predicts for it?

Apart from the ledger, which counts, so that every promise to whoever sends a request is in one place.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from apps.common.messages import Answer, Expected, Position, Send

TOLERANCE = 1e-9

_Question = tuple[str, str, int, int]  # manifest, version, and the position of the request


@dataclass(frozen=True)
class Wrong:
    """An answer that breaks a promise, and which; ``of_value`` when what it says is not what its version predicts."""

    request_id: str
    position: Position
    reason: str
    of_value: bool = False


class AnswerChecks:
    """The requests and the expected answers that each answer is compared with."""

    def __init__(self, sends: Sequence[Send], expected: Sequence[Expected], model: str = "") -> None:
        """``expected`` may be empty: then values are not compared; without ``model`` it may be any."""
        self.model = model
        self.id_at = {send.position: send.request_id for send in sends if send.acknowledged}  # the last one there
        self.ids_at: dict[Position | None, set[str]] = defaultdict(set)
        self.positions: dict[str, set[Position]] = defaultdict(set)
        for send in sends:
            self.ids_at[send.position].update({send.request_id} if send.acknowledged else ())
            self.positions[send.request_id].update({send.position} if send.acknowledged and send.position else ())
        self.expected: dict[_Question, Expected] = {}
        self.second_opinions: dict[_Question, Expected] = {}
        for line in expected:
            lines = self.second_opinions if line.second_opinion else self.expected
            lines[line.manifest, line.model_version, line.in_partition, line.in_offset] = line

    def concerns(self, answer: Answer) -> bool:
        """Whether the answer stands at one of our requests, or names one."""
        return answer.position in self.id_at or answer.request_id in self.positions

    def can_compare(self, answer: Answer) -> bool:
        """Whether it is known what the answer must be: what it answers still stands there."""
        stands = self.id_at.get(answer.position, answer.request_id)
        return stands == answer.request_id and _question(answer) in self.expected

    def has_second_opinion(self, answer: Answer) -> bool:
        """Whether code of its own has computed what the answer must be, too."""
        return self.can_compare(answer) and _question(answer) in self.second_opinions

    def wrong(self, answers: Sequence[Answer]) -> Iterator[Wrong]:
        """Every answer that breaks a promise, repeats included."""
        of_release: dict[int, list[Answer]] = defaultdict(list)
        for answer in answers:
            of_release[answer.release].append(answer)
        versions = {release: _usual(one.model_version for one in some) for release, some in of_release.items()}
        manifests = {release: _usual(one.manifest for one in some) for release, some in of_release.items()}
        topic_id = _usual(answer.topic_id for answer in answers)
        for answer in answers:
            release = answer.release
            alike = (
                (f"release {release} must be of one version", answer.model_version, versions[release]),
                (f"release {release} must be of one manifest", answer.manifest, manifests[release]),
                ("all requests must be of one topic", answer.topic_id, topic_id),
            )
            of_value = list(self._value_faults(answer))
            faults = [*self._place_faults(answer), *of_value]
            faults += [f"{rule}; got {got} and {usual}" for rule, got, usual in alike if got not in (None, usual)]
            if self.model and answer.model != self.model:
                faults.append(f"it must be of model {self.model}; got {answer.model or 'none'}")
            if faults:
                yield Wrong(answer.request_id, answer.position, "; ".join(faults), bool(of_value))

    def _place_faults(self, answer: Answer) -> Iterator[str]:
        stood = self.ids_at.get(answer.position, set())
        if stood and answer.request_id not in stood:
            yield f"it answers {answer.request_id}, but {self.id_at[answer.position]} stands there"
        own_positions = self.positions.get(answer.request_id)
        if not stood and own_positions:
            yield f"it says to answer {answer.position}, but the request stands at {min(own_positions)}"
        if answer.partition not in (None, answer.in_partition):
            yield f"it must stand in partition {answer.in_partition}, as its request; got {answer.partition}"

    def _value_faults(self, answer: Answer) -> Iterator[str]:
        if (answer.prediction is None) == (answer.rejection is None):
            yield f"it must be a prediction or a rejection; got {answer.prediction} and {answer.rejection!r}"
        elif answer.prediction is not None and not _finite(answer.prediction):
            yield f"its prediction must be a number; got {answer.prediction!r}"
        if not self.expected or (answer.position not in self.id_at and not self.can_compare(answer)):
            return
        gone = answer.request_id != self.id_at.get(answer.position)
        if gone and answer.request_id in self.ids_at.get(answer.position, ()):
            return  # its request is gone: a broker that lost the end of its log has used the offset again
        question = _question(answer)
        right, second = self.expected.get(question), self.second_opinions.get(question)
        if right is None:
            made = f"version {answer.model_version} with manifest {answer.manifest or 'none'}"
            yield f"nothing is known of what {made} says to it"
        elif difference := _difference(answer, right):
            yield difference
        elif second and (difference := _difference(answer, second)):
            yield f"{difference}: so says code that shares nothing with the server's"


def _question(answer: Answer) -> _Question:
    return answer.manifest or "", answer.model_version, *answer.position


def _usual(told: Iterable[str | None]) -> str | None:
    """What most say, of those that say something."""
    counted = Counter(one for one in told if one is not None)
    return counted.most_common(1)[0][0] if counted else None


def _difference(answer: Answer, right: Expected) -> str:
    """How the answer differs from what it must be; empty where it does not."""
    if answer.rejection != right.rejection:
        return f"rejection must be {right.rejection!r}; got {answer.rejection!r}"
    if not _close(answer.prediction, right.prediction):
        return f"version {answer.model_version} predicts {right.prediction}; got {answer.prediction}"
    return ""


def _finite(got: object) -> bool:
    return isinstance(got, int | float) and math.isfinite(got)  # what the wire says, whatever the type promises


def _close(got: float | None, right: float | None) -> bool:
    if got is None or right is None:
        return got is right
    return _finite(got) and math.isclose(got, right, rel_tol=TOLERANCE, abs_tol=1e-12)
