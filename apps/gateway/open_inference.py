"""
Bodies of the Open Inference Protocol v2: one input tensor per column, named so; rows are the first dimension.

The answer has two outputs: ``prediction`` (FP64) and ``rejection`` (BYTES, "" of a row that has a prediction). A row
that was rejected has the prediction null, which is NaN in the binary extension. When all rows were, there is nothing to
put into a tensor, and the status is 422 with every reason.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.gateway import bodies, tensors
from apps.gateway.asking import AnsweredRow
from apps.gateway.bodies import Row
from apps.gateway.turned_away import TurnedAway, malformed, require_few, require_narrow

JSON_LENGTH = "Inference-Header-Content-Length"
OUTPUTS = {"prediction": "FP64", "rejection": "BYTES"}


@dataclass(frozen=True)
class Inference:
    """A request: its id where it has one, its rows, and which outputs are wanted, True for those in binary."""

    request_id: str | None
    rows: Iterable[Row]  # to be gone through once: nobody holds them while their answers are waited for
    outputs: Mapping[str, bool]


def decode(body: bytes, json_length: str | None, most: int) -> Inference:
    """
    Read a body, of which ``json_length`` bytes are JSON where there is binary data; raises TurnedAway.

    One of more than ``most`` rows is unpacked no further than it takes to know that.
    """
    split = _split(body, json_length)
    raw = bodies.parsed(body[:split])
    if not isinstance(raw, dict):
        raise malformed("the body must be a JSON object with inputs", raw)
    request_id = raw.get("id")
    if request_id is not None and not isinstance(request_id, str):
        raise malformed("id must be a text", request_id)
    columns = _columns(raw.get("inputs"), _parameters(raw), body[split:], most)
    rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
    return Inference(request_id, rows, _outputs(raw))


def _split(body: bytes, json_length: str | None) -> int:
    if json_length is None:
        return len(body)
    if (length := bodies.number_in(json_length)) is None or length > len(body):
        raise malformed(f"{JSON_LENGTH} must be a number up to the length of the body, {len(body)}", json_length)
    return length


def _parameters(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = raw.get("parameters")
    return found if isinstance(found, dict) else {}


def _columns(inputs: Any, shared: dict[str, Any], binary: bytes, most: int) -> dict[str, list[Any]]:
    require_narrow(len(inputs) if isinstance(inputs, list) else 0)
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        raise malformed("inputs must be a list of tensors, one for each column", inputs)
    columns: dict[str, list[Any]] = {}
    place = 0
    for tensor in inputs:
        name, own = tensor.get("name"), _parameters(tensor)
        if not isinstance(name, str) or name in columns:
            raise malformed("each input must have a name of its own, its column's", name)
        size = own.get("binary_data_size")
        if size is not None and not (isinstance(size, int) and 0 <= size <= len(binary) - place):
            raise malformed(f"binary_data_size of {name!r:.60} must be at most what follows the JSON", size)
        part = None if size is None else binary[place : place + size]
        place += size or 0
        columns[name] = _column(name, tensor, part, most, encoded=(shared | own).get("content_type") == "base64")
    if place != len(binary):
        raise malformed("the bytes behind the JSON must be those of the binary_data_size of the inputs", len(binary))
    counts = {len(cells) for cells in columns.values()}
    if len(counts) > 1 or not any(counts):
        raise malformed("inputs must have as many rows each, one or more", sorted(counts))
    return columns


def _column(name: str, tensor: Mapping[str, Any], binary: bytes | None, most: int, *, encoded: bool) -> list[Any]:
    datatype = tensor.get("datatype")
    if datatype not in tensors.DATATYPES:
        raise malformed(f"the datatype of {name!r:.60} must be one of {', '.join(tensors.DATATYPES)}", datatype)
    rows = tensors.rows_of(name, tensor.get("shape"))
    require_few(rows, most)
    if binary is None:
        return tensors.from_json(name, datatype, tensor.get("data"), rows, encoded=encoded)
    return tensors.from_bytes(name, datatype, binary, rows)


def _outputs(raw: Mapping[str, Any]) -> dict[str, bool]:
    everywhere = _parameters(raw).get("binary_data_output") is True
    wanted = raw.get("outputs") or [{"name": name} for name in OUTPUTS]
    names = [one.get("name") for one in wanted if isinstance(one, dict)] if isinstance(wanted, list) else []
    if not names or len(names) < len(wanted) or not all(isinstance(name, str) and name in OUTPUTS for name in names):
        raise malformed(f"outputs must be tensors called {' or '.join(OUTPUTS)}", wanted)
    return {one["name"]: _parameters(one).get("binary_data", everywhere) is True for one in wanted}


def encode(
    inference: Inference, request_id: str, model: str, answered: Sequence[AnsweredRow]
) -> tuple[bytes, dict[str, str]]:
    """The body of an answer and its headers; raises TurnedAway when every row was rejected."""
    refused = rejections(answered)
    newest = max((row.reply for row in answered), key=lambda reply: reply.release)
    if len(refused) == len(answered):
        raise TurnedAway(
            422,
            "; ".join(f"row {one['row']}: {one['reason']}" for one in refused),
            id=request_id,
            model_version=newest.version,
            rejections=refused,
        )
    versions = sorted({row.reply.version for row in answered})
    cached = sum(row.reply.cached for row in answered)
    told: dict[str, Any] = {
        "model_name": model,
        "model_version": newest.version,
        "id": request_id,
        "parameters": {
            "release": newest.release,
            "rejected": len(refused),
            **({"cached": cached} if cached else {}),
            **({"versions": ",".join(versions)} if len(versions) > 1 else {}),
        },
    }
    columns: dict[str, list[float | str | None]] = {
        "prediction": [row.reply.prediction for row in answered],
        "rejection": [row.reply.rejection or "" for row in answered],
    }
    outputs, parts = [], []
    for name, binary in inference.outputs.items():
        output: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": [len(answered)]}
        if binary:
            parts.append(tensors.to_bytes(OUTPUTS[name], columns[name]))
            output["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            output["data"] = columns[name]
        outputs.append(output)
    head = json.dumps({**told, "outputs": outputs}).encode()
    if not parts:
        return head, {"Content-Type": "application/json"}
    return b"".join([head, *parts]), {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}


def rejections(answered: Sequence[AnsweredRow]) -> list[dict[str, Any]]:
    """The rows that were rejected: their number, id and reason."""
    return [
        {"row": number, "request_id": row.request_id, "reason": row.reply.rejection}
        for number, row in enumerate(answered)
        if row.reply.rejection is not None
    ]
