"""The tensors of the Open Inference Protocol as columns of cells, and back: JSON, and the binary extension."""

import base64
import binascii
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from apps.gateway.turned_away import malformed

NUMBERS = {  # datatype -> struct's letter; all are little-endian
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
DATATYPES = (*NUMBERS, "BF16", "BYTES")
LENGTH = struct.Struct("<I")  # before each element of BYTES
SHORT = {  # digits that any of them keeps, up to those that tell any two of them apart; the smallest that keeps them
    "FP16": (range(3, 6), 2.0**-14),
    "BF16": (range(2, 5), 2.0**-126),
    "FP32": (range(6, 10), 2.0**-126),
}


def rows_of(name: str, shape: Any) -> int:
    """How many rows a shape is of: [n] or [n, 1]."""
    sizes: list[Any] = shape if isinstance(shape, list) and len(shape) in (1, 2) else [None]
    fits = all(isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes)
    if not fits or sizes[1:] not in ([], [1]):
        raise malformed(f"the shape of {name!r:.60} must be [n] or [n, 1], n rows of one column", shape)
    return int(sizes[0])


def from_json(name: str, datatype: str, data: Any, rows: int, *, encoded: bool) -> list[Any]:
    """The cells of a column, flat or nested; ``encoded`` is base64, of BYTES."""
    long = isinstance(data, list) and len(data) > rows
    cells = [] if long else list(islice(_flat(data), rows + 1))  # no more is unpacked than the shape says
    if len(cells) != rows:
        got = len(data) if long else f"{len(cells)}{' or more' if len(cells) > rows else ''}"
        raise malformed(f"the data of {name!r:.60} must be {rows} elements, as its shape says", got)
    if datatype == "BYTES" and encoded:
        return [cell if cell is None else _text(name, _decoded(name, cell)) for cell in cells]
    return cells


def _flat(data: Any, depth: int = 2) -> Iterator[Any]:
    if not isinstance(data, list):
        if isinstance(data, dict) or depth == 2:  # noqa: PLR2004 - nothing was unpacked: it is no list at all
            raise malformed("data must be a list of null, numbers, texts, true and false", data)
        yield data
        return
    if not depth:
        raise malformed("data must be a list, or a list of lists of one element", data)
    for one in data:
        yield from _flat(one, depth - 1) if isinstance(one, list) else (_scalar(one),)


def _scalar(cell: Any) -> Any:
    if isinstance(cell, dict):
        raise malformed("data must be a list of null, numbers, texts, true and false", cell)
    return cell


def _decoded(name: str, cell: Any) -> bytes:
    try:
        return base64.b64decode(cell, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise malformed(f"the data of {name!r:.60} must be base64, as its content_type says", cell) from error


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise malformed(f"the bytes of {name!r:.60} must be text in UTF-8", raw) from error


def from_bytes(name: str, datatype: str, raw: bytes, rows: int) -> list[Any]:
    """The cells of a column of the binary extension."""
    if datatype == "BYTES":
        cells = [_text(name, one) for one in islice(_elements(name, raw), rows + 1)]
        if len(cells) != rows:
            raise malformed(f"the binary data of {name!r:.60} must be {rows} elements", len(cells))
        return cells
    size = rows * (2 if datatype == "BF16" else struct.calcsize(f"<{NUMBERS[datatype]}"))
    if len(raw) != size:
        raise malformed(f"the binary data of {name!r:.60} must be {size} bytes, {rows} of {datatype}", len(raw))
    if datatype == "BF16":  # the upper half of an FP32
        halves = struct.unpack(f"<{rows}H", raw)
        numbers = struct.unpack(f"<{rows}f", struct.pack(f"<{rows}I", *(half << 16 for half in halves)))
        return [_shortest(number, datatype, _bfloat) for number in numbers]
    one = struct.Struct(f"<{NUMBERS[datatype]}")
    found = struct.unpack(f"<{rows}{NUMBERS[datatype]}", raw)
    if datatype in SHORT:
        return [_shortest(number, datatype, one.pack) for number in found]
    return list(found)


def _elements(name: str, raw: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(raw):
        (size,) = LENGTH.unpack_from(raw, place) if place + LENGTH.size <= len(raw) else (len(raw),)
        place += LENGTH.size
        if place + size > len(raw):
            raise malformed(f"the binary data of {name!r:.60} must hold each element whole", len(raw))
        yield raw[place : place + size]
        place += size


def _bfloat(number: float) -> bytes:
    """The nearest BF16."""
    (bits,) = struct.unpack("<I", struct.pack("<f", number))
    return struct.pack("<I", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)


def _shortest(number: float, datatype: str, pack: Callable[[float], bytes]) -> float:
    """The number as a person writes it: 0.1, and not what the nearest FP32 is as a double, 0.10000000149."""
    if not math.isfinite(number):
        return number
    wanted = pack(number)
    enough, least = SHORT[datatype]
    for digits in enough if abs(number) >= least else range(1, enough.stop):
        text = float(f"{number:.{digits}g}")
        try:
            if pack(text) == wanted:
                return text
        except (OverflowError, struct.error):  # rounded up beyond the largest
            continue
    return number


def to_bytes(datatype: str, cells: Sequence[float | str | None]) -> bytes:
    """An output of the binary extension: FP64, where None is NaN, or BYTES."""
    if datatype == "BYTES":
        texts = [str(cell or "").encode() for cell in cells]
        return b"".join(LENGTH.pack(len(text)) + text for text in texts)
    return struct.pack(f"<{len(cells)}d", *(math.nan if cell is None else cell for cell in cells))
