"""What a proof says to a person: lines for the terminal, and one HTML file that needs nothing but itself."""

from pathlib import Path

from loadtest.pages import templates
from loadtest.prover import history, owed_chart
from loadtest.prover.history import ProofHistory
from loadtest.prover.owed_chart import Mark
from loadtest.prover.verdict import Judgement, ProofVerdict
from loadtest.timing import Latency

MARKS = {Judgement.PASSED: "✓", Judgement.FAILED: "✗", Judgement.UNKNOWN: "?", Judgement.NOT_ASKED: "·"}
MARKS[Judgement.NOT_APPLICABLE] = MARKS[Judgement.NOT_ASKED]
SHOWN = 5  # of the worst, on the terminal; the page and the JSON have all that were kept


def lines(verdict: ProofVerdict) -> list[str]:
    """The verdict on the terminal."""
    text = [f"{verdict.outcome.upper()}: {verdict.sentence}", ""]
    for one in verdict.invariants:
        asked = one.outcome not in (Judgement.NOT_ASKED, Judgement.NOT_APPLICABLE)
        told = f"{one.evaluated:>9,}" if asked else f"  {'; '.join(one.reasons)}"
        text.append(f"{MARKS[one.outcome]} {one.number:2} {one.name:<56} {one.outcome:<9}{told}")
        text += [f"     {reason}" for reason in one.reasons if asked]
    text += [
        "",
        f"latency   {_spread(verdict.ledger.latency)}",
        f"silence   {verdict.ledger.longest_silence_ms:,.0f} ms at most",
    ]
    text.append(f"sent      {verdict.sent_per_s:,.1f} a second; behind the schedule: {_spread(verdict.lateness)}")
    if verdict.others:
        text.append(f"others    {verdict.others:,} records of others were passed over")
    for title, forbidden in (("forbidden", True), ("seen", False)):
        for found in (found for found in verdict.seen if found.forbidden is forbidden):
            text.append(f"{title:<9} {found.kind}: {found.total:,} {found.meaning}")
            text += [f"            {case}" for case in found.worst[:SHOWN]] if forbidden else []
    if not verdict.seen:
        text.append("seen      nothing else")
    return text


def _spread(of: Latency) -> str:
    if of.p50_ms is None:
        return "none"
    return f"p50 {of.p50_ms:,.1f} ms, p99 {of.p99_ms:,.1f} ms, worst {of.worst_ms:,.1f} ms"


def write(verdict: ProofVerdict, recorded: ProofHistory, out: Path) -> None:
    """Write the page."""
    template, ledger = templates(Path(__file__).parent).get_template("proof.html.j2"), verdict.ledger
    out.write_text(
        template.render(
            verdict=verdict,
            plan=recorded.plan,
            events=recorded.events,
            chart=owed_chart.draw(
                ledger.waits,
                ledger.began,
                _ended(verdict, recorded),
                marks(verdict, recorded),
                "requests" if recorded.plan.http else "partition {}",
            ),
            symbols={str(outcome): symbol for outcome, symbol in MARKS.items()},
            latency=_spread(ledger.latency),
            lateness=_spread(verdict.lateness),
        ),
        encoding="utf-8",
    )


def _ended(verdict: ProofVerdict, recorded: ProofHistory) -> float:
    return max([verdict.ledger.ended, *(event.at for event in recorded.events)])


def marks(verdict: ProofVerdict, recorded: ProofHistory) -> list[Mark]:
    """What is marked in the picture: the command, the hand-overs, the quiet phase."""
    end = _ended(verdict, recorded)
    found = [Mark(one.at, one.at, f"release {one.release}", "handover") for one in verdict.ledger.handovers]
    for kind, closing, label in (
        (history.COMMAND, history.COMMAND_ENDED, "command"),
        (history.QUIET, history.ENDED, "quiet"),
    ):
        began, ended = recorded.at(kind), recorded.at(closing)
        if began is not None:
            found.append(Mark(began, end if ended is None else ended, label, kind))
    return sorted(found, key=lambda mark: (mark.kind == "handover", mark.began))
