"""
The verdict of a proof: how each of the ten invariants came out, what was seen, and what that makes of the whole.

Apart from the judge, because the page, the command line and other people's programs read it, and only one writes it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from loadtest.ledger import Verdict
from loadtest.prover import findings
from loadtest.prover.findings import Finding
from loadtest.timing import Latency


class Judgement(StrEnum):
    """Of a proof, or of one invariant; one that was not asked for has none, nor one that HTTP has no place for."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ASKED = "not asked"
    NOT_APPLICABLE = "not applicable"


EXIT_CODES = {Judgement.PASSED: 0, Judgement.FAILED: 1, Judgement.UNKNOWN: 2}


@dataclass(frozen=True)
class Invariant:
    """One of the ten: how it came out, on how many things it was evaluated, and why it does not pass."""

    number: int
    name: str
    outcome: Judgement
    evaluated: int
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class ProofVerdict:
    """The whole: the ten, what was seen, and the ledger's figures."""

    invariants: Sequence[Invariant]
    seen: Sequence[Finding]
    ledger: Verdict
    lateness: Latency
    sent_per_s: float
    others: int  # records of the answers topic that are nobody's here

    @property
    def outcome(self) -> Judgement:
        """Failed beats unknown beats passed."""
        outcomes = {invariant.outcome for invariant in self.invariants}
        return next((one for one in (Judgement.FAILED, Judgement.UNKNOWN) if one in outcomes), Judgement.PASSED)

    @property
    def sentence(self) -> str:
        """What was lost of how many, and what that says of the requests that were not sent."""
        lost, of = len(self.ledger.missing), self.ledger.acked
        away = next((one.total for one in self.seen if one.kind == findings.TURNED_AWAY and one.forbidden), 0)
        if lost and self.invariants[0].outcome is Judgement.UNKNOWN:
            return f"{lost:,} of {of:,} not seen answered"
        text = f"{lost:,} of {of:,} lost" + (f", {away:,} turned away" if away else "")
        return text if lost or away or not of else f"{text}: with 95 % confidence fewer than 1 in {max(of // 3, 1):,}"

    def to_json(self) -> dict[str, object]:
        """All of it for a program."""
        return {
            "verdict": self.outcome,
            "sentence": self.sentence,
            "invariants": [asdict(invariant) for invariant in self.invariants],
            "seen": [asdict(one) for one in self.seen],
            "sent_per_s": round(self.sent_per_s, 3),
            "others": self.others,
            "lateness_ms": asdict(self.lateness),
            "ledger": self.ledger.details(),
        }
