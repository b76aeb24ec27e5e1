"""
Answers by what was asked: the same fields, asked of the same release, have the same answer and need no server.

A key is the hash of the stack, the version, the files that it was loaded from, its release, and those of the fields
that the version reads. So an entry of one release is never found for another one, whoever wrote it and when. Only
predictions are kept, of rows in which every field is a declared one; whatever else may be, the server judges it.
"""

import hashlib
import hmac
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from apps.common.messages import Answer, CachedAnswer
from apps.common.names import StackNames
from apps.common.read_columns import read_columns
from apps.gateway.cache_store import Missed

LONGEST = 256  # bytes of an entry; a longer one is none of ours
SIGNS = 32  # hex digits of its checksum
LARGEST = 10**300  # a number with more digits is one that a server may not be able to read


class EntryStore(Protocol):
    """Where entries are kept."""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """What is kept under each key; raises Missed."""

    def put(self, key: str, value: bytes) -> None:
        """Keep a value, soon or not at all."""

    @property
    def unkept(self) -> Mapping[str, int]:
        """How many were not kept, by reason."""


@dataclass(frozen=True, slots=True)
class NewestRelease:
    """Who answers: the newest release that ever has, and the columns that it reads; None where nobody can say."""

    version: str
    manifest: str
    release: int
    columns: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Sought:
    """A row that was looked up: what its version reads of it, hashed, and what was found."""

    fields: bytes
    served: NewestRelease
    prediction: float | None = None


class AnswerCache:
    """What may be answered out of the cache, and what is kept there."""

    def __init__(self, names: StackNames, declared: Sequence[str], store: EntryStore) -> None:
        """``declared`` are the dataset's columns, in their order."""
        self._names = names
        self._declared = declared
        self._known = frozenset(declared)
        self._store = store
        self.newest: NewestRelease | None = None
        self.hits = 0  # rows
        self.misses: Counter[str] = Counter()  # rows, by reason

    @property
    def unkept(self) -> Mapping[str, int]:
        """How many answers were not kept, by reason."""
        return self._store.unkept

    def note(self, answer: Answer) -> None:
        """A server's answer was read: from the first of a new release on, no older one's entries are found."""
        if answer.model == self._names.model and (self.newest is None or answer.release > self.newest.release):
            columns = read_columns(answer.reads, self._declared)
            self.newest = NewestRelease(answer.model_version, answer.manifest or "", answer.release, columns)

    async def find(self, values: Sequence[bytes]) -> list[Sought | None]:
        """
        What was found for each row; None of those that nothing is to be kept of either.

        It takes a few milliseconds at the most, and raises nothing.
        """
        served = self.newest
        if served is None or served.columns is None:
            self.misses["columns"] += len(values)
            return [None] * len(values)
        hashes = [_fields(value, served.columns, self._known) for value in values]
        keys = {fields: self._key(served, fields) for fields in hashes if fields}
        try:
            found = dict(zip(keys, await self._store.get(list(keys.values())), strict=True)) if keys else {}
        except Missed as missed:
            found, reason = {}, str(missed)
        else:
            reason = "absent"
        sought: list[Sought | None] = []
        for fields in hashes:
            if fields is None:
                self.misses["unusual"] += 1
                sought.append(None)
                continue
            entry = found.get(fields)
            prediction = None if entry is None else _prediction(keys[fields], entry)
            if prediction is None:
                self.misses[reason if entry is None else "wrong"] += 1
            sought.append(Sought(fields, served, prediction))
        return sought

    def answer(self, request_id: str, asked: bytes, sought: Sought) -> CachedAnswer | None:
        """The answer that was found, unless a newer release has answered meanwhile; counts a hit."""
        if sought.prediction is None:
            return None
        if sought.served != self.newest:
            self.misses["overtaken"] += 1
            return None
        self.hits += 1
        by = sought.served
        return CachedAnswer(
            request_id, asked, self._names.model, by.version, by.manifest, by.release, sought.prediction
        )

    def keep(self, sought: Sought, answer: Answer) -> None:
        """A server has answered a row that was looked up in vain."""
        by, prediction = sought.served, _number(answer.prediction)
        same = (answer.model_version, answer.manifest or "", answer.release) == (by.version, by.manifest, by.release)
        if same and answer.rejection is None and prediction is not None:
            key = self._key(by, sought.fields)
            self._store.put(key, _entry(key, prediction))

    def _key(self, served: NewestRelease, fields: bytes) -> str:
        named = [self._names.model, served.version, served.manifest, served.release, fields.hex()]
        return f"{self._names.stack}:{hashlib.sha256(json.dumps(named).encode()).hexdigest()}"


def _fields(value: bytes, columns: frozenset[str], declared: frozenset[str]) -> bytes | None:
    """
    What a version reads of a row in one form, hashed; None where what it does not read could still matter.

    Numbers and texts are told apart, as the server would by a look at them.
    """
    row = json.loads(value)
    if not row or not row.keys() <= declared:
        return None
    if any(_odd(cell) for name, cell in row.items() if name not in columns):
        return None
    read = {name: cell for name, cell in row.items() if name in columns}
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).digest() if read else None


def _odd(cell: object) -> bool:
    """Whether a server may fail to read the whole row for it."""
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return True
    return isinstance(cell, int) and abs(cell) >= LARGEST


def _number(value: object) -> float | None:
    """A prediction, where it is one."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None  # type: ignore[arg-type]


def _entry(key: str, prediction: float) -> bytes:
    body = json.dumps({"prediction": prediction}).encode()
    return _signs(key, body) + body


def _prediction(key: str, entry: bytes) -> float | None:
    """What an entry says; None of one that is not exactly what was kept under this key."""
    signs, body = entry[:SIGNS], entry[SIGNS:]
    if len(entry) > LONGEST or not hmac.compare_digest(signs, _signs(key, body)):
        return None
    try:
        read = json.loads(body)
        return _number(read["prediction"]) if isinstance(read, dict) else None
    except (ValueError, KeyError, RecursionError):
        return None


def _signs(key: str, body: bytes) -> bytes:
    """A checksum of what is kept where: what was copied from another key, or cut, does not have it."""
    return hashlib.sha256(key.encode() + b"\0" + body).hexdigest()[:SIGNS].encode()
