"""
Which columns a version reads, as its answers name them: so that a gateway knows which of a request's fields matter.

The header holds the first digits of the sha256 of the declared columns, and a bit for each of them. Who declares other
columns reads nothing out of it, instead of something wrong.
"""

import hashlib
import json
from collections.abc import Sequence

DIGITS = 8


def told(inputs: Sequence[str], declared: Sequence[str]) -> str:
    """The header's text: which of the columns ``declared`` are ``inputs``."""
    bits = sum(1 << place for place, name in enumerate(declared) if name in inputs)
    return f"{_fingerprint(declared)}:{bits:x}" if set(inputs) <= set(declared) else ""


def read_columns(text: str | None, declared: Sequence[str]) -> frozenset[str] | None:
    """The columns that ``text`` names of those ``declared``; None where it is of other ones, or says nothing."""
    fingerprint, _, digits = (text or "").partition(":")
    if fingerprint != _fingerprint(declared):
        return None
    try:
        bits = int(digits, 16)
    except ValueError:
        return None
    named = {name.lower() for place, name in enumerate(declared) if bits >> place & 1}
    return frozenset(name for name in declared if name.lower() in named)  # Spark tells names not apart by their case


def _fingerprint(declared: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(declared)).encode()).hexdigest()[:DIGITS]
