"""Checks of binary tensors behind the JSON, for a server that lists the extension binary_tensor_data."""

import json
import math
import struct
from collections.abc import Sequence
from typing import Any

from stack.cli.conform import wanted
from stack.cli.conform.exchange import Deviation, HttpReply, NotOffered
from stack.cli.conform.inputs import NUMBERS, Json
from stack.cli.conform.subject import Subject
from stack.cli.conform.tensors import Outputs, named, outputs, same
from stack.cli.conform.wanted import refused

EXTENSION = "binary_tensor_data"
LENGTH = "Inference-Header-Content-Length"


def binary_inputs(on: Subject) -> str:
    _require(on)
    same(outputs(_infer(on, *_body(on))), outputs(on.first))
    return "the same as of JSON"


def binary_outputs(on: Subject) -> str:
    _require(on)
    reply = on.infer(on.body(parameters={"binary_data_output": True}))
    wants = outputs(on.first)
    same(_decoded(reply), wants)
    return ", ".join(f"{name} {one['datatype']}" for name, one in wants.items())


def binary_wrong_size(on: Subject) -> str:
    _require(on)
    body, raw = _body(on)
    return refused(_infer(on, body, raw[:-1]))


def binary_wrong_length(on: Subject) -> str:
    _require(on)
    body, raw = _body(on)
    return refused(_infer(on, body, raw, length="999999999"))


def _require(on: Subject) -> None:
    if EXTENSION not in on.extensions:
        raise NotOffered(f"the server does not list {EXTENSION}")


def _body(on: Subject) -> tuple[Json, bytes]:
    """A request whose inputs are binary, and the bytes of these."""
    body, parts = on.body(), []
    for tensor in body["inputs"]:
        parts.append(_encoded(tensor["datatype"], tensor.pop("data")))
        tensor["parameters"] = {"binary_data_size": len(parts[-1])}
    return body, b"".join(parts)


def _infer(on: Subject, body: Json, raw: bytes, length: str = "") -> HttpReply:
    head = json.dumps(body).encode()
    headers = {"Content-Type": "application/octet-stream", LENGTH: length or str(len(head))}
    return on.endpoint.post(f"{on.path}/infer", head + raw, headers)


def _encoded(datatype: str, cells: Sequence[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [str(cell).encode() for cell in cells]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if datatype == "BF16":  # the upper half of an FP32
        return b"".join(struct.pack("<f", cell)[2:] for cell in cells)
    return struct.pack(f"<{len(cells)}{NUMBERS.get(datatype, '?')}", *cells)


def _decoded(reply: HttpReply) -> Outputs:
    """The outputs of an answer in binary."""
    length = wanted.ok(reply).headers.get(LENGTH.lower(), "")
    wanted.wanted(length.isdigit() and int(length) <= len(reply.body), f"{LENGTH} must be that of the JSON", length)
    body, place, found = json.loads(reply.body[: int(length)]), int(length), {}
    for one in body["outputs"]:
        named(one)
        size: Any = (one.get("parameters") or {}).get("binary_data_size")
        wanted.wanted(isinstance(size, int), f"{one['name']} must have a binary_data_size", repr(size))
        cells = _cells(one["datatype"], reply.body[place : place + size])
        wanted.wanted(len(cells) == math.prod(one["shape"]), f"{one['name']} must be of its shape", len(cells))
        found[one["name"]] = {**one, "data": cells}
        place += size
    wanted.wanted(place == len(reply.body), "the body must end with its tensors", len(reply.body) - place)
    return found


def _cells(datatype: str, raw: bytes) -> list[Any]:
    try:
        return _texts(raw) if datatype == "BYTES" else _numbers(NUMBERS.get(datatype, "?"), raw)
    except (struct.error, UnicodeDecodeError) as error:
        raise Deviation(f"the binary data of an output must be {datatype}; got {error}") from error


def _numbers(letter: str, raw: bytes) -> list[Any]:
    return list(struct.unpack(f"<{len(raw) // struct.calcsize(f'<{letter}')}{letter}", raw))


def _texts(raw: bytes) -> list[str]:
    cells = []
    while raw:
        (size,) = struct.unpack_from("<I", raw)
        cells.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return cells
