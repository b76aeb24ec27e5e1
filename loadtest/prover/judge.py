"""
The judge of a proof: ten numbered invariants over a history, pure and without Kafka.

It stands on the ledger, which says for every other run here too what is missing, repeated, wrong and out of order. An
invariant that was asked for and never evaluated fails: what could not have been seen is no proof.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from apps.common.messages import Answer, Send, first_answers
from loadtest.ledger import Verdict, check
from loadtest.prover import findings, history
from loadtest.prover.findings import Finding, finding
from loadtest.prover.history import ProofHistory
from loadtest.prover.plan import Plan
from loadtest.prover.verdict import Invariant, Judgement, ProofVerdict
from loadtest.timing import lateness, silences

OVERLAP_S = 30  # so long two releases may answer side by side
LATE_S = 0.010
ONE_RESPONSE = "over HTTP a request has one response, on its own connection"
NO_ORDER = "over HTTP requests have no order"
NO_HEADERS = "over HTTP answers name no version"
GAP_S = 1  # without a request while the command runs, and what it did then was not seen


class _Case:
    """A history with what the ledger makes of it."""

    def __init__(self, recorded: ProofHistory) -> None:
        self.recorded, self.plan = recorded, recorded.plan
        self.sends = recorded.owed()
        self.answers = recorded.named_answers()
        self.ledger = check(self.sends, self.answers, recorded.expected, model=self.plan.model)
        self.by_id = {send.request_id: send for send in self.sends}
        self.own = [answer for answer in self.answers if answer.request_id in self.by_id]
        self.firsts = list(first_answers(self.own))
        self.named = [answer for answer in self.firsts if answer.named]

    def found(self, kind: str, cases: Sequence[str]) -> Finding:
        return finding(kind, cases, self.plan.allow)


def judge(recorded: ProofHistory) -> ProofVerdict:
    """Judge what was recorded."""
    case = _Case(recorded)
    parts = [rule(case) for rule in RULES]
    times = [send.sent_at for send in recorded.sends]
    span = max(times) - min(times) if times else 0.0
    return ProofVerdict(
        invariants=[invariant for invariant, _ in parts],
        seen=[one for _, seen in parts for one in seen if one.total]
        + [one for one in _of_the_client(case) if one.total],
        ledger=case.ledger,
        lateness=lateness(recorded.sends),
        sent_per_s=(len(times) - 1) / span if span else 0.0,
        others=recorded.others,
    )


_Judged = tuple[Invariant, Sequence[Finding]]


def _judged(case: _Case, number: int, name: str, evaluated: int, *seen: Finding, at_the_end: bool = False) -> _Judged:
    """
    Failed by what is forbidden, or when it was never evaluated.

    Nobody knows instead where the run was ended before its time, or where the record lacks the end by which it counts.
    """
    reasons = [f"{one.total:,} {one.meaning}" for one in seen if one.total and one.forbidden]
    known = case.recorded.complete or not at_the_end
    outcome = Judgement.PASSED if not reasons else Judgement.FAILED if known else Judgement.UNKNOWN
    if not evaluated:
        reasons.append("it was never evaluated, which proves nothing")
        outcome = Judgement.FAILED if case.recorded.ran_its_time else Judgement.UNKNOWN
    return Invariant(number, name, outcome, evaluated, reasons), seen


def _not_asked(number: int, name: str, how: str) -> _Judged:
    return Invariant(number, name, Judgement.NOT_ASKED, 0, [how]), ()


def _not_applicable(number: int, name: str, why: str) -> _Judged:
    return Invariant(number, name, Judgement.NOT_APPLICABLE, 0, [why]), ()


def _answered(case: _Case) -> _Judged:
    at = {send.request_id: send for send in case.sends}
    missing = [_unanswered(case.recorded, at[request_id]) for request_id in case.ledger.missing]
    lost = case.found(findings.LOST, missing)
    name = "each acknowledged request is answered"
    away = case.found(findings.TURNED_AWAY, [_error(send) for send in _refused(case)] if case.plan.http else [])
    invariant, seen = _judged(case, 1, name, case.ledger.acked, lost, away, at_the_end=True)
    return replace(invariant, reasons=[*invariant.reasons, *_other_keys(case)]), seen


def _other_keys(case: _Case) -> Iterator[str]:
    """Why a server that answers may seem to answer nothing."""
    recorded = case.recorded
    if case.ledger.acked and not case.ledger.answered and recorded.others:
        last = "none" if recorded.other_key is None else repr(recorded.other_key)
        came = f"{recorded.others:,} records came to {case.plan.answers} with other keys"
        yield f"{came}; an answer needs the key of its request; the last had {last}"


def _refused(case: _Case) -> list[Send]:
    return [send for send in case.sends if send.refused and not send.acknowledged]


def _error(send: Send) -> str:
    return f"{send.request_id}: {send.error}"


def _unanswered(recorded: ProofHistory, send: Send) -> str:
    if recorded.plan.http:
        return f"{send.request_id}: {recorded.unanswered.get(send.request_id, 'no answer was seen')}"
    place = f"partition {send.partition}, offset {send.offset}"
    gone = bool(recorded.requests) and not recorded.stands(send.request_id)
    where = (
        f"was acknowledged at {place} and was not seen there: Kafka may have lost it" if gone else f"stands at {place}"
    )
    return f"{send.request_id} {where}"


def _kept_once(case: _Case) -> _Judged:
    name = "one answer is kept for each request"
    if case.plan.http:
        return _not_applicable(2, name, ONE_RESPONSE)
    kept = {id(answer) for answer in case.firsts}
    again = Counter(answer.request_id for answer in case.own if id(answer) not in kept)
    cases = [f"{key} was answered {times + 1} times" for key, times in again.most_common() for _ in range(times)]
    return _judged(case, 2, name, len(case.firsts), case.found(findings.REPEATS, cases))


def _asked_for(case: _Case) -> _Judged:
    name = "no answer without its request"
    if case.plan.http:
        return _not_applicable(3, name, ONE_RESPONSE)
    owed = {send.request_id for send in case.sends if send.acknowledged or not send.refused}
    prefix = f"{case.plan.run}-"
    unasked = [
        f"{answer.request_id} was answered and {'was refused' if answer.request_id in case.by_id else 'never sent'}"
        for answer in case.answers
        if answer.request_id.startswith(prefix) and answer.request_id not in owed
    ]
    wrong = [f"{one.request_id}: {one.reason}" for one in case.ledger.wrong if not one.of_value]
    seen = case.found(findings.UNASKED, unasked), case.found(findings.MISPLACED, wrong)
    return _judged(case, 3, name, len(case.own) + len(unasked), *seen)


def _in_order(case: _Case) -> _Judged:
    name = "kept answers are in the order of their requests"
    if case.plan.http:
        return _not_applicable(4, name, NO_ORDER)
    broken = list(_kept_out_of_order(case))
    order = case.ledger.order
    skipped = [f"process {one.process} in partition {one.partition}: {one.reason}" for one in order.first]
    skipped += ["another"] * (order.broken - len(skipped))
    seen = case.found(findings.REORDERED, broken), case.found(findings.SKIPPED, skipped)
    return _judged(case, 4, name, len(case.firsts), *seen)


def _kept_out_of_order(case: _Case) -> Iterator[str]:
    """Where answers stand in other partitions than their requests, each pair of partitions has an order of its own."""
    stood = Counter(send.position for send in case.sends if send.acknowledged)
    twice = set(case.recorded.twice)
    furthest: dict[tuple[int, int | None], Answer] = {}
    for answer in case.firsts:
        if answer.request_id in twice and not answer.named:
            continue  # nobody knows which of the two it answers
        way = answer.in_partition, answer.partition
        before = furthest.get(way)
        if before is None or answer.in_offset > before.in_offset:
            furthest[way] = answer
        elif stood[answer.position] == 1:  # else a broker that lost the end of its log has used the offset again
            yield (
                f"{answer.request_id} (partition {answer.in_partition}, offset {answer.in_offset}) was answered after "
                f"{before.request_id} (offset {before.in_offset})"
            )


def _release_grows(case: _Case) -> _Judged:
    name = "the release never goes back"
    if case.plan.http:
        return _not_applicable(5, name, NO_HEADERS)
    if not case.named and not case.plan.min_versions:
        return _not_asked(5, name, "the answers name no release")
    newest: dict[int, Answer] = {}
    back = []
    for answer in case.named:
        newer = newest.get(answer.in_partition)
        if newer is None or answer.release > newer.release:
            newest[answer.in_partition] = answer
        elif answer.release < newer.release and answer.seen_at > newer.seen_at + OVERLAP_S:
            after = f"{answer.seen_at - newer.seen_at:.0f} s after release {newer.release}"
            back.append(f"{answer.request_id} was answered by release {answer.release}, {after}")
    return _judged(case, 5, name, len(case.named), case.found(findings.WENT_BACK, back))


def _values(case: _Case) -> _Judged:
    name = "each value is what its version predicts"
    if case.plan.http:
        return _not_applicable(6, name, NO_HEADERS)
    of_value = [one for one in case.ledger.wrong if one.of_value]
    if not case.recorded.expected and not of_value:
        return _not_asked(6, name, "--expected gives the values")
    wrong = case.found(findings.WRONG, [f"{one.request_id}: {one.reason}" for one in of_value])
    return _judged(case, 6, name, case.ledger.compared if case.recorded.expected else len(of_value), wrong)


def _poisons(case: _Case) -> _Judged:
    name = "each poison is rejected once, with its reason"
    if not case.plan.poison:
        return _not_asked(7, name, "--poison gives them")
    first = {answer.request_id: answer for answer in case.firsts}
    asked = {key: reason for key in first if (reason := case.plan.reason_of(key))}  # the unanswered are lost already
    bad = [
        f"{key} must be rejected with {reason!r}; got {first[key].rejection!r}"
        for key, reason in asked.items()
        if reason not in (first[key].rejection or "")
    ]
    return _judged(case, 7, name, len(asked), case.found(findings.POISON, bad))


def _quiet(case: _Case) -> _Judged:
    name = "after the quiet phase nothing is owed"
    recorded, owed = case.recorded, len(case.ledger.missing)
    if not recorded.complete:
        why = "the quiet phase was not reached, or was cut short"
        return Invariant(8, name, Judgement.UNKNOWN, 0, [why]), ()
    reasons = [f"{owed:,} are owed after {case.plan.quiet_s:g} s"] if owed else []
    return Invariant(8, name, Judgement.FAILED if owed else Judgement.PASSED, 1, reasons), ()


def _bounds(case: _Case) -> _Judged:
    name, plan, ledger = "silence and latency stay within their bounds", case.plan, case.ledger
    if not plan.max_silence_s and not plan.max_latency_s:
        return _not_asked(9, name, "--max-silence and --max-latency state them")
    seen = []
    if plan.max_latency_s:
        slow = sorted((w for w in ledger.waits if (w.ms or 0) > plan.max_latency_s * 1000), key=lambda w: -(w.ms or 0))
        seen.append(
            case.found(
                findings.LATENCY, [f"{w.answer.request_id if w.answer else ''} took {w.ms:,.0f} ms" for w in slow]
            )
        )
    if plan.max_silence_s:
        long = sorted(
            (s for s in silences(ledger.waits, ledger.ended) if s.ms > plan.max_silence_s * 1000), key=lambda s: -s.ms
        )
        at = [
            f"{s.ms / 1000:.1f} s in partition {s.partition}, {s.began - ledger.began:.1f} s after the start"
            for s in long
        ]
        seen.append(case.found(findings.SILENCE, at))
    return _judged(case, 9, name, ledger.answered, *seen)


def _not_vacuous(case: _Case) -> _Judged:
    name = "the run could have shown a fault"
    traffic = list(_traffic_faults(case.recorded, case.ledger.acked))
    reasons = [reason for reason, held_back in traffic if not held_back]
    reasons += [*_vacuous(case.plan, case.ledger), *_command_faults(case.recorded)]
    unsure = [reason for reason, held_back in traffic if held_back]
    unsure += _cut_short(case.recorded)
    outcome = Judgement.UNKNOWN if reasons or unsure else Judgement.PASSED
    if reasons and case.recorded.ran_its_time:
        outcome = Judgement.FAILED
    return Invariant(10, name, outcome, case.ledger.sent, [*reasons, *unsure]), ()


def _log(plan: Plan) -> str:
    return "posting.log" if plan.http else "sending.log"


def _traffic_faults(recorded: ProofHistory, acked: int) -> Iterator[tuple[str, bool]]:
    """
    Why the traffic was no test, and whether that was the prover's own limit.

    So it was where there would be no such fault, had that been sent which was held back while nothing more might be
    under way.
    """
    plan, held_back = recorded.plan, recorded.held_back
    limit = f": all {plan.in_flight:,} that may be under way were; raise --in-flight"
    if acked < plan.min_requests:
        more = sum(until - since for since, until in held_back) * plan.rate
        fault = f"at least {plan.min_requests:,} requests must be acknowledged; got {acked:,}"
        yield (f"{fault}{limit}", True) if acked + more >= plan.min_requests else (fault, False)
    sent = [(send.sent_at, send.sent_at) for send in recorded.sends if send.acknowledged or plan.http]
    if fault := _gap(recorded, sent):
        only_held_back = not _gap(recorded, [*sent, *held_back])
        yield (f"{fault}{limit}", True) if only_held_back else (f"{fault}; see {_log(plan)}", False)


def _gap(recorded: ProofHistory, sent: Sequence[tuple[float, float]]) -> str:
    """How traffic that was ``sent`` since and until those times did not frame the command; empty where it did."""
    command = _command_that_ran(recorded)
    if not command:
        return ""
    began, ended = command
    usual = 2 / recorded.plan.rate  # so long nothing need be sent
    during = sorted((since, until) for since, until in sent if since <= ended and until >= began)
    times = [moment for stretch in sent for moment in stretch]
    if not times or min(times) > began or max(times) < ended or (not during and ended - began > usual):
        return "requests must be sent before the command, while it runs and after it; they were not"
    sent_until = accumulate((until for _, until in [(began, began), *during]), max)
    sent_again = [since for since, _ in [*during, (ended, ended)]]
    gap = max(after - before for before, after in zip(sent_until, sent_again, strict=True))
    if gap > max(GAP_S, usual):
        return f"requests must be sent all the time that the command runs; got none for {gap:.1f} s"
    return ""


def _command_that_ran(recorded: ProofHistory) -> tuple[float, float] | None:
    """When the command began and ended; None where it did not, or was not let."""
    began, ended = recorded.at(history.COMMAND), recorded.at(history.COMMAND_ENDED)
    interrupted = recorded.at(history.INTERRUPTED) is not None
    return None if began is None or ended is None or interrupted else (began, ended)


def _vacuous(plan: Plan, ledger: Verdict) -> Iterator[str]:
    if ledger.unknown > plan.max_unknown * ledger.sent:
        yield (
            f"at most {plan.max_unknown:.1%} of the requests may be unknown; got {ledger.unknown:,} of "
            f"{ledger.sent:,}; see {_log(plan)}"
        )
    versions = [version for version in ledger.versions if version != "unnamed"]
    if len(versions) < plan.min_versions:
        got = ", ".join(versions) or "none"
        yield f"answers must name at least {plan.min_versions} versions; got {got}; the hand-over did not happen"


def _command_faults(recorded: ProofHistory) -> Iterator[str]:
    """Why the command in the middle counts for nothing: it did not begin, or did not end well."""
    if not recorded.plan.command or recorded.at(history.INTERRUPTED) is not None or not recorded.events:
        return
    began = recorded.at(history.COMMAND)
    ended = next((event for event in recorded.events if event.kind == history.COMMAND_ENDED), None)
    if began is None or ended is None:
        if recorded.complete:
            yield "the command must run; it did not"
        return
    if ended.exit_code != 0:
        got = f"exit code {ended.exit_code}" if ended.exit_code is not None else "none in its time"
        yield f"the command must end well; got {got}; see command.log"


def _cut_short(recorded: ProofHistory) -> Iterator[str]:
    for event in recorded.events:
        if event.kind == history.BROKEN:
            yield f"the prover's own process ended: {event.note}"
        if event.kind == history.INTERRUPTED and recorded.plan.command and recorded.at(history.COMMAND_ENDED) is None:
            yield "it was interrupted before the command had run"
    ended = next((event for event in recorded.events if event.kind == history.COMMAND_ENDED), None)
    if ended and ended.exit_code is None and recorded.at(history.INTERRUPTED) is not None:
        yield "it was interrupted while the command ran"
    if not recorded.complete:
        yield "the record ends before the quiet phase was over"


def _of_the_client(case: _Case) -> Iterator[Finding]:
    recorded = case.recorded
    yield finding(findings.TWICE, recorded.twice)
    yield finding(findings.REFUSED, [] if case.plan.http else map(_error, _refused(case)))
    unknown = [send for send in case.sends if not send.acknowledged and not send.refused]
    yield finding(findings.UNKNOWN, map(_error, unknown))
    late = sorted((send.late_s or 0.0, send.request_id) for send in recorded.sends if (send.late_s or 0) > LATE_S)
    yield finding(findings.LATE, [f"{key} by {seconds * 1000:.0f} ms" for seconds, key in reversed(late)])


RULES: Sequence[Callable[[_Case], _Judged]] = (
    *(_answered, _kept_once, _asked_for, _in_order, _release_grows),
    *(_values, _poisons, _quiet, _bounds, _not_vacuous),
)
