"""A body as it is read, within its bounds, and rows as the values of Kafka requests."""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from apps.common.messages import MAX_VALUE_BYTES
from apps.gateway.turned_away import RETRY, TurnedAway, malformed, require_narrow

DIGITS = 15
Row = Mapping[str, Any]  # a request's raw fields: column -> cell; None and NaN are missing


@dataclass
class BodyRoom:
    """The bytes of all bodies that are being read, of which there is room for ``most``."""

    most: int
    taken: int = 0

    def take(self, size: int) -> None:
        """One more part has come; raises TurnedAway when there is no room for it."""
        if self.taken + size > self.most:
            got = f"got {size} more than {self.taken}"
            raise TurnedAway(
                429,
                f"bodies must have at most {self.most} bytes together while they come; {got}; come again",
                RETRY | {"Connection": "close"},
            )
        self.taken += size


async def read(request: Request, most: int, within_s: float, room: BodyRoom) -> bytes:
    """The body, at most ``most`` bytes, read no further, and as long as there is room; raises TurnedAway."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise TurnedAway(415, f"Content-Encoding must be identity; got {encoding!r}; send the body as it is")
    length = request.headers.get("content-length", "")
    if (number_in(length) or 0) > most:
        raise _too_long(most, length)
    parts: list[bytes] = []
    size = held = 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise _too_long(most, "more")
                room.take(len(part))
                held += len(part)
                parts.append(part)
    except TimeoutError as error:
        raise TurnedAway(408, f"a body must come within {within_s:g} s; got {size} bytes") from error
    except ClientDisconnect as error:
        raise TurnedAway(400, f"a body must come to its end; got {size} bytes") from error
    finally:
        room.taken -= held
    return b"".join(parts)


def number_in(text: str) -> int | None:
    """The number that a header says; None where it is none that any body could have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None


def _too_long(most: int, got: str) -> TurnedAway:
    return TurnedAway(
        413, f"a body must have at most {most} bytes; got {got}; send fewer rows at once", {"Connection": "close"}
    )


def parsed(body: bytes) -> Any:
    """The JSON in a body, in which a bare NaN may stand; raises TurnedAway."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise malformed(f"the body must be JSON in UTF-8 ({str(error)[:80]})", body[:60]) from error


def values(rows: Iterable[Row]) -> list[bytes]:
    """Each row as the value of its request; raises TurnedAway when one is larger than a server takes."""
    found: list[bytes] = []
    for number, row in enumerate(rows):
        require_narrow(len(row))
        value = value_of(row)
        if len(value) > MAX_VALUE_BYTES:
            got = f"got {len(value)} in row {number}"
            raise TurnedAway(
                413, f"a row must have at most {MAX_VALUE_BYTES} bytes as a JSON object; {got}", row=number
            )
        found.append(value)
    return found


def value_of(row: Row) -> bytes:
    """The JSON object of a row's fields; what is missing is left out, and the server judges the rest."""
    cells = {name: _cell(cell) for name, cell in row.items() if not _missing(cell)}
    try:
        return json.dumps(cells, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (ValueError, RecursionError) as error:
        raise malformed("a row must be an object of texts and numbers", row) from error


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _cell(cell: Any) -> Any:
    """What is no JSON number or text goes as text: no field is one, and the server's rejection will say so."""
    if isinstance(cell, float) and math.isinf(cell):
        return str(cell)
    return json.dumps(cell) if isinstance(cell, list | dict) else cell
