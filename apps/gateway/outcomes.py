"""What ``POST /v1/outcomes`` takes: the true values of requests, one or many, the first problems told together."""

import math
from dataclasses import dataclass
from typing import Any

from apps.common.messages import MAX_KEY_BYTES
from apps.gateway.bodies import parsed
from apps.gateway.turned_away import TurnedAway, shown

TOLD = 20  # problems


@dataclass(frozen=True)
class KnownOutcome:
    """What the true value of a request turned out to be."""

    request_id: str
    outcome: float | int


def decode(body: bytes, most: int) -> list[KnownOutcome]:
    """The outcomes of a body, an object or a list of at most ``most``; raises TurnedAway with the first problems."""
    raw = parsed(body)
    ones = raw if isinstance(raw, list) else [raw]
    if len(ones) > most:
        raise TurnedAway(413, f"outcomes must be at most {most} at once; got {len(ones)}; send them in parts")
    found: list[KnownOutcome] = []
    problems: list[str] = []
    for number, one in enumerate(ones):
        if len(problems) >= TOLD:
            break
        fields = one if isinstance(one, dict) else {}
        request_id, outcome = fields.get("request_id"), _number(fields.get("outcome"))
        if not _is_id(request_id):
            rule = f"outcome {number}: request_id must be a text of 1-{MAX_KEY_BYTES} bytes"
            problems.append(f"{rule}; got {shown(request_id)}")
        if outcome is None:
            problems.append(f"outcome {number}: outcome must be a finite number; got {shown(fields.get('outcome'))}")
        if outcome is not None and isinstance(request_id, str):
            found.append(KnownOutcome(request_id, outcome))
    if raw == []:
        problems.append("outcomes must be one or more; got none")
    if problems:
        more = "; there may be more" if len(problems) >= TOLD else ""
        raise TurnedAway(422, "; ".join(problems[:TOLD]) + more, problems=problems[:TOLD])
    return found


def _is_id(value: Any) -> bool:
    try:
        return isinstance(value, str) and 0 < len(value.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False


def _number(value: Any) -> float | int | None:
    """The number in a cell, true is 1; None when there is none."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    try:
        return value if isinstance(value, int | float) and math.isfinite(value) else None
    except OverflowError:  # an integer beyond any float
        return None
