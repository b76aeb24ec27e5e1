"""
What a batch says of itself; the text of ``_manifest.json``, checked at the door with all problems together.

The order of batches is a fact of its own, made of manifests and never of names.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from apps.common.errors import BatchRefused
from apps.common.files import sha256

MANIFEST = "_manifest.json"
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # Spark skips other beginnings and takes the rest as patterns
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """One CSV file of a batch: its name, length in bytes and sha256 (hex)."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """
    What a complete batch says of itself; ``rows`` counts data rows, ``created`` is ISO 8601 in UTC.

    ``number`` is given when the batch is dropped, one more than any before it; 0 when nobody gave one.
    """

    dataset: str
    rows: int
    schema_hash: str
    created: str
    parts: tuple[Part, ...]
    number: int = 0

    @property
    def created_s(self) -> float | None:
        """When it was created, in seconds since 1970; None when the text is no time."""
        try:
            moment = datetime.fromisoformat(self.created)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

    @property
    def content_hash(self) -> str:
        """The batch's identity: equal content has an equal hash, whatever the batch and its parts are called."""
        joined = "\n".join(sorted(part.sha256.lower() for part in self.parts))
        return hashlib.sha256(joined.encode()).hexdigest()

    def to_json(self) -> str:
        """The text of ``_manifest.json``."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """Read ``_manifest.json``; raise BatchRefused with every problem when it is not one."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            faults = error.errors(include_url=False)
            listed = ", ".join(f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in faults)
            message = f"{MANIFEST} must be JSON with dataset, rows, schema_hash, created and parts; got {listed}"
            raise BatchRefused(message) from error

    def problems(self, dataset: str) -> list[str]:
        """What is wrong with a manifest by itself, whatever lies beside it."""
        problems = []
        if self.dataset != dataset:
            problems.append(f"{MANIFEST}: dataset must be {dataset}; got {self.dataset}")
        if self.rows < 1:
            problems.append(f"{MANIFEST}: rows must be at least 1; got {self.rows}")
        if self.number < 0:
            problems.append(f"{MANIFEST}: number must be at least 0; got {self.number}")
        if not self.number and self.created_s is None:
            problems.append(
                f"{MANIFEST}: created must be a time as 2026-06-30T12:00:00Z where there is no number: it is the "
                f"batch's place among the others; got {self.created}"
            )
        if not self.parts:
            problems.append(f"{MANIFEST}: parts must name at least one file; got none")
        names = Counter(part.name for part in self.parts)
        problems += [f"{MANIFEST}: {name} must be named once; got {n} times" for name, n in names.items() if n > 1]
        for part in self.parts:
            if not PLAIN_NAME.fullmatch(part.name):
                rule = "have letters, digits, dot, underscore and dash only, and begin with one of the first two"
                problems.append(f"{MANIFEST}: the name of a part must {rule}; got {part.name}")
            if not _SHA256.fullmatch(part.sha256.lower()):
                problems.append(f"{MANIFEST}: sha256 of {part.name} must have 64 hex digits; got {part.sha256}")
        return problems


_ADAPTER = TypeAdapter(Manifest)


def oldest_first(manifests: Mapping[str, Manifest]) -> list[str]:
    """
    The names of batches in the order in which they came: of two that tell of the same thing the later one is right.

    Numbers decide, so that no clock does. A batch without one (put together by hand, or used before there were
    numbers) comes behind the highest number of those created before it. What is equal by all that goes by ``created``,
    and then by content.
    """
    numbers = [(manifest.created_s or 0.0, manifest.number) for manifest in manifests.values() if manifest.number]

    def place(name: str) -> tuple[int, bool, float, str]:
        manifest = manifests[name]
        created = manifest.created_s or 0.0
        number = manifest.number or max((number for before, number in numbers if before <= created), default=0)
        return number, not manifest.number, created, manifest.content_hash

    return sorted(manifests, key=place)


def schema_hash(columns: tuple[str, ...]) -> str:
    """The hash (hex, 16 digits) of a header: its column names in order."""
    return hashlib.sha256("\n".join(columns).encode()).hexdigest()[:16]


def describe_part(path: Path) -> Part:
    """Measure a local CSV file as a part of a batch."""
    return Part(path.name, path.stat().st_size, sha256(path))
