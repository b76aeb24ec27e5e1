"""
The alarm: whether the live error of a version is so much larger than what may be expected that it is to be undone.

Pure: sums in, a finding out. The words are those of Argo Rollouts' analysis: a window passes, fails or is inconclusive,
and so many failures in a row are a failed version. What is missing never fails.
"""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from apps.live_metrics.windows import Key, Sums


class Conclusion(StrEnum):
    """What an error says of a version."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rule:
    """``margin`` is a share of the reference's error, ``outcomes`` are a window's least, ``failures`` come in a row."""

    margin: float
    outcomes: int
    failures: int


@dataclass(frozen=True)
class Reference:
    """What a version is held against: its name, and the largest RMSE that chance lets it have."""

    what: str
    rmse: float


@dataclass(frozen=True)
class AlarmFinding:
    """What came of it, in words that show the evidence."""

    judgement: Conclusion
    reason: str


def reference(windows: Mapping[Key, Sums], before: str | None, promised: float | None, rule: Rule) -> Reference | None:
    """
    The live error of the version ``before``, while enough outcomes of it are known, else the test error ``promised``.

    None where neither is.
    """
    total = Sums()
    for (version, _), sums in windows.items():
        if version == before:
            total.add(sums)
    _, high = total.rmse_bounds()
    if high is not None and total.labelled >= rule.outcomes:
        return Reference(f"version {before}'s live RMSE of at most {high:.4g} (n = {total.labelled:,})", high)
    if promised is not None and math.isfinite(promised):
        return Reference(f"its own test RMSE of {promised:.4g}", promised)
    return None


def judge(
    windows: Mapping[Key, Sums], version: str, settled: Iterable[int], to: Reference | None, rule: Rule
) -> AlarmFinding:
    """Judge a version by its windows that begin at ``settled`` (seconds since 1970), to which nothing is to come."""
    if to is None:
        return AlarmFinding(Conclusion.INCONCLUSIVE, f"nothing is known to hold version {version} against")
    bound = to.rmse * (1 + rule.margin)
    conclusive = [
        (start, sums, judged)
        for start in sorted(settled)
        if (sums := windows.get((version, start)))
        and (judged := _judge_window(sums, bound, rule)) is not Conclusion.INCONCLUSIVE
    ]
    last = conclusive[-rule.failures :]
    failed = [one for one in last if one[2] is Conclusion.FAIL]
    against = f"at most {bound:.4g} is allowed: {to.what}, and {rule.margin:.0%}"
    if not last:
        return AlarmFinding(
            Conclusion.INCONCLUSIVE, f"no window with {rule.outcomes} outcomes of version {version}; {against}"
        )
    if len(failed) < rule.failures:
        return AlarmFinding(Conclusion.PASS, f"{len(failed)} of its last {rule.failures} windows failed; {against}")
    return AlarmFinding(Conclusion.FAIL, f"{'; '.join(_words(start, sums) for start, sums, _ in failed)}; {against}")


def _judge_window(sums: Sums, bound: float, rule: Rule) -> Conclusion:
    low, _ = sums.rmse_bounds()
    if low is None or sums.labelled < rule.outcomes:
        return Conclusion.INCONCLUSIVE
    if low > bound:
        return Conclusion.FAIL
    return Conclusion.PASS if math.sqrt(sums.square / sums.labelled) <= bound else Conclusion.INCONCLUSIVE


def _words(start: int, sums: Sums) -> str:
    low, high = sums.rmse_bounds()
    rmse = math.sqrt(sums.square / sums.labelled)
    began = time.strftime("%H:%M:%SZ", time.gmtime(start))
    return f"{began}: RMSE {rmse:.4g} (95 %: {low:.4g} to {high:.4g}, n = {sums.labelled:,})"
