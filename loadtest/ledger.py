"""
The ledger: what was sent, acknowledged and answered, and the proof that nothing was dropped.

Pure functions of three records: the sender's journal, the answers in the order a reader saw them, and what each
version predicts for each request, computed afresh. So the checker can itself be checked, with invented histories.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from apps.common.messages import PROBE_PREFIX, Answer, Expected, Position, Send, first_answers
from loadtest.answer_checks import AnswerChecks, Wrong
from loadtest.answer_order import OrderJudgement, judge_order
from loadtest.timing import Handover, Latency, RequestWait, Silence, handovers, latency, longest, silences

SAMPLE = 5  # how many offenders a sentence names
UNKNOWN_SHARE = 0.001  # of the requests may stay unacknowledged where nobody stopped the broker
UNKNOWN_SHARE_BROKER_STOPS = 0.1  # where the run itself did


@dataclass(frozen=True)
class Verdict:
    """What was counted, measured and found wrong in one run; ``problems`` turns it into sentences."""

    sent: int
    acked: int
    refused: int  # sent by nobody: the client or the broker would not have it
    unknown: int  # sent and not acknowledged: an answer may come or not, and neither is a fault
    answered: int
    missing: tuple[str, ...]
    rejected: int
    repeats: int
    wrong: tuple[Wrong, ...]
    foreign: int  # answers to nobody here, such as another run's requests
    compared: int  # answers whose value was compared with what their version predicts
    second_opinions: dict[str, int]  # version -> how many of its answers were compared with a second opinion, too
    order: OrderJudgement  # of all answers, those to other runs' requests too
    latency: Latency
    silence: Silence | None
    versions: tuple[str, ...]
    releases: tuple[int, ...]
    handovers: tuple[Handover, ...]
    waits: tuple[RequestWait, ...]
    began: float
    ended: float

    @property
    def duration_s(self) -> float:
        """Seconds from the first request to the last acknowledgement or answer."""
        return self.ended - self.began

    @property
    def longest_silence_ms(self) -> float:
        """The longest silence of any partition."""
        return self.silence.ms if self.silence else 0.0

    def to_json(self) -> dict[str, object]:
        """The figures a program may rely on."""
        return {
            "sent": self.sent,
            "acked": self.acked,
            "answered": self.answered,
            "missing": len(self.missing),
            "rejected": self.rejected,
            "repeats": self.repeats,
            "wrong": len(self.wrong) if self.compared else None,
            "compared": self.compared,
            "out_of_order": self.order.broken if self.order.judged else None,
            "p50_ms": _rounded(self.latency.p50_ms),
            "p99_ms": _rounded(self.latency.p99_ms),
            "longest_silence_ms": _rounded(self.longest_silence_ms),
            "versions": list(self.versions),
            "duration_s": _rounded(self.duration_s),
        }

    def details(self) -> dict[str, object]:
        """Everything else that the report tells."""
        return {
            **self.to_json(),
            "unknown": self.unknown,
            "refused": self.refused,
            "foreign": self.foreign,
            "second_opinions": self.second_opinions,
            "latency": {name: _rounded(value) for name, value in asdict(self.latency).items()},
            "silence": asdict(self.silence) if self.silence else None,
            "releases": list(self.releases),
            "handovers": [asdict(handover) for handover in self.handovers],
            "missing_ids": list(self.missing),
            "wrong_answers": [asdict(wrong) for wrong in self.wrong],
            "order": asdict(self.order),
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class LineReader:
    """The whole lines of a file that is being written; the file need not be there yet."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._read = 0  # bytes

    def new(self) -> list[bytes]:
        """Those since the last time; a last line that is still being written is left for the next time."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                whole, end, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._read += len(whole + end)
        return whole.splitlines()


class SendJournal:
    """The sender's journal, read while it is written."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet; the file need not be there."""
        self._lines = LineReader(path)

    def new(self) -> list[Send]:
        """What was written since the last time."""
        return [Send.from_json(line) for line in self._lines.new()]


class Unanswered:
    """
    The acknowledged requests that have no answer, kept up to date by what is new.

    A request is known by its position and its id: a broker that lost the end of its log uses offsets again.
    """

    def __init__(self) -> None:
        """Nothing was sent yet."""
        self._open: dict[tuple[Position | None, str], None] = {}  # in the order in which they were sent
        self._answered: set[tuple[Position | None, str]] = set()

    def note(self, sends: Iterable[Send], answers: Iterable[Answer]) -> None:
        """Take in what was sent and answered since the last time, whichever of the two is seen first."""
        for send in sends:
            if send.acknowledged and (send.position, send.request_id) not in self._answered:
                self._open[send.position, send.request_id] = None
        for answer in answers:
            request = answer.position, answer.request_id
            self._answered.add(request)
            self._open.pop(request, None)

    @property
    def ids(self) -> list[str]:
        """Their ids, in the order in which they were sent."""
        return [request_id for _, request_id in self._open]


def missing(sends: Iterable[Send], answers: Iterable[Answer]) -> list[str]:
    """The ids of the acknowledged requests that have no answer, in the order they were sent."""
    unanswered = Unanswered()
    unanswered.note(sends, answers)
    return unanswered.ids


def check(
    sends: Sequence[Send],
    answers: Sequence[Answer],
    expected: Sequence[Expected],
    *,
    executors: bool = False,
    model: str = "",
) -> Verdict:
    """
    Check one run: ``sends`` is the whole journal, ``answers`` everything a reader saw, in the order it was seen.

    Without ``expected`` the values of the answers are not compared; everything else is checked all the same. A server
    with ``executors`` may answer again what it answered before it lost one. Where ``model`` is named, only its answers
    are right.
    """
    checks = AnswerChecks(sends, expected, model)
    own = [answer for answer in answers if checks.concerns(answer)]
    probes = [answer for answer in answers if _is_probe(answer) and not checks.concerns(answer)]
    firsts = list(first_answers(own))
    first_to = {(answer.position, answer.request_id): answer for answer in firsts}
    acked = [send for send in sends if send.acknowledged]
    waits = tuple(
        RequestWait(position[0], send.sent_at, first_to.get((position, send.request_id)))
        for send in acked
        if (position := send.position) is not None
    )
    answered = [wait.answer for wait in waits if wait.answer]
    moments = [send.acked_at or send.sent_at for send in sends] + [answer.seen_at for answer in own]
    ended = max(moments, default=0.0)
    all_silences = silences(waits, ended)
    return Verdict(
        sent=len(sends),
        acked=len(acked),
        refused=(refused := sum(1 for send in sends if send.refused and not send.acknowledged)),
        unknown=len(sends) - len(acked) - refused,
        answered=len(answered),
        missing=tuple(missing(acked, own)),
        rejected=sum(1 for answer in answered if answer.rejection is not None),
        repeats=len(own) - len(firsts),
        wrong=tuple(checks.wrong([answer for answer in own if answer.named])),
        foreign=len(answers) - len(own) - len(probes),
        compared=sum(1 for answer in own if checks.can_compare(answer)),
        second_opinions=dict(Counter(answer.model_version for answer in own if checks.has_second_opinion(answer))),
        order=judge_order(sends, answers, executors=executors),
        latency=latency(waits),
        silence=longest(all_silences),
        versions=tuple(dict.fromkeys(answer.model_version for answer in firsts)),
        releases=tuple(dict.fromkeys(answer.release for answer in firsts)),
        handovers=tuple(handovers(own, firsts, all_silences)),
        waits=waits,
        began=min((send.sent_at for send in sends), default=ended),
        ended=ended,
    )


def _is_probe(answer: Answer) -> bool:
    """Whether a starting server asked this of itself."""
    return answer.request_id.startswith(PROBE_PREFIX)


def problems(
    verdict: Verdict, min_versions: int = 1, *, must_compare: bool = False, broker_stops: bool = False
) -> list[str]:
    """
    What is wrong with a run, as sentences; empty when all is well and the run could have shown otherwise.

    With ``must_compare`` a run whose values were never compared, or whose order was never judged, is a failure too. A
    tenth of the requests may stay unacknowledged where the run itself had the broker stop: ``broker_stops``.
    """
    sentences = []
    may_be_unknown = UNKNOWN_SHARE_BROKER_STOPS if broker_stops else UNKNOWN_SHARE
    if not verdict.sent:
        sentences.append("requests must be sent; got none; nothing is proven by an empty run")
    elif not verdict.acked:
        sentences.append(f"requests must be acknowledged; got none of {verdict.sent}; is the broker up?")
    elif (unacknowledged := verdict.sent - verdict.acked) > may_be_unknown * verdict.sent:
        sentences.append(
            f"all but {may_be_unknown:.1%} of the requests must be acknowledged; got {unacknowledged} of "
            f"{verdict.sent} that were not; see the sender's log"
        )
    if verdict.missing:
        some = ", ".join(verdict.missing[:SAMPLE])
        sentences.append(f"every acknowledged request must be answered; {len(verdict.missing)} not: {some}")
    if verdict.wrong:
        some = ". ".join(f"{wrong.request_id} at {wrong.position}: {wrong.reason}" for wrong in verdict.wrong[:SAMPLE])
        sentences.append(f"every answer must be right; {len(verdict.wrong)} not: {some}")
    if verdict.order.broken:
        some = ". ".join(
            f"process {one.process} in partition {one.partition}: {one.reason}" for one in verdict.order.first[:SAMPLE]
        )
        sentences.append(
            f"one process must answer a partition's requests in order and leave none out; {verdict.order.broken} "
            f"answers do not: {some}"
        )
    if must_compare:
        sentences += _unproven(verdict)
    if len(verdict.versions) < min_versions:
        seen = ", ".join(verdict.versions) or "none"
        sentences.append(
            f"answers must come from at least {min_versions} versions; got {seen}; the hand-over did not happen"
        )
    return sentences


def _unproven(verdict: Verdict) -> Iterator[str]:
    """What of a run could not be judged, though there were answers enough: its order, its values."""
    firsts = len({wait.partition for wait in verdict.waits}) * len(verdict.releases)  # that follow no other
    if verdict.answered > firsts and not verdict.order.judged:
        yield (
            f"answers must name their process, so that their order is judged; none of {verdict.answered} was; "
            "see their header process"
        )
    alone = [version for version in verdict.versions if version not in verdict.second_opinions]
    if not verdict.compared:
        yield "answers must be compared with what their versions predict; none was; see the rescorer's log"
    elif alone:
        yield (
            f"answers of each version must be compared with a second opinion; got none of {', '.join(alone)}; "
            "see the rescorer's log"
        )
