"""
Bodies of MLflow's scoring protocol: four forms of JSON, and CSV.

The answer is ``{"predictions": [...]}`` as MLflow's own server gives it. A row that was rejected has the prediction
null, and a list ``rejections`` stands beside; when all rows were, the status is 422.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from apps.gateway import bodies
from apps.gateway.asking import AnsweredRow
from apps.gateway.bodies import Row
from apps.gateway.open_inference import rejections
from apps.gateway.turned_away import TurnedAway, malformed, require_few, require_narrow

FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")
CSV, JSON = "text/csv", "application/json"


def decode(body: bytes, content_type: str, inputs: Sequence[str], most: int) -> list[Row]:
    """
    The rows of a body, at most ``most``; ``inputs`` are the columns of data that has no names, in order.

    Raises TurnedAway.
    """
    kind = content_type.partition(";")[0].strip().lower() or JSON
    if kind not in (CSV, JSON):
        raise TurnedAway(415, f"Content-Type must be {JSON} or {CSV}; got {content_type[:80]!r}")
    rows = _from_csv(body, most) if kind == CSV else _from_json(bodies.parsed(body), inputs, most)
    if not rows:
        raise malformed("there must be at least one row", 0)
    return rows


def _from_csv(body: bytes, most: int) -> list[Row]:
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
        names = next(reader, [])
        lines = list(islice(filter(None, reader), most + 1))  # the rest of a longer one is not read
    except (UnicodeDecodeError, csv.Error) as error:
        raise malformed(f"the body must be CSV in UTF-8 ({str(error)[:80]})", body[:60]) from error
    require_few(len(lines), most, "more")
    found = _from_table(names, lines, most)
    return [{name: cell for name, cell in row.items() if cell} for row in found]


def _from_json(raw: Any, inputs: Sequence[str], most: int) -> list[Row]:
    forms = [form for form in FORMS if isinstance(raw, dict) and form in raw]
    if len(forms) != 1:
        raise malformed(f"the body must be an object with one of {', '.join(FORMS)}", forms or raw)
    data = raw[forms[0]]
    if forms[0] == "dataframe_split":
        table = data if isinstance(data, dict) else {}
        return _from_table(table.get("columns"), table.get("data"), most)
    if isinstance(data, dict) and forms[0] == "inputs":
        return _from_columns(data, most)
    require_few(len(data) if isinstance(data, list) else 0, most)
    if forms[0] == "dataframe_records" and not (isinstance(data, list) and all(isinstance(one, dict) for one in data)):
        raise malformed("dataframe_records must be a list of objects", data)
    return _from_records(forms[0], data, inputs)


def _from_table(names: Any, lines: Any, most: int) -> list[Row]:
    require_few(len(lines) if isinstance(lines, list) else 0, most)
    require_narrow(len(names) if isinstance(names, list) else 0)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise malformed("columns must be a list of names that differ", names)
    if not isinstance(lines, list):
        raise malformed("data must be a list of rows", lines)
    for number, line in enumerate(lines):
        if not isinstance(line, list) or len(line) != len(names):
            raise malformed(f"row {number} must have a cell for each of {len(names)} columns", line)
    return [dict(zip(names, line, strict=True)) for line in lines]


def _from_columns(data: Mapping[str, Any], most: int) -> list[Row]:
    require_narrow(len(data))
    columns = {name: cells if isinstance(cells, list) else [cells] for name, cells in data.items()}
    counts = {len(cells) for cells in columns.values()}
    require_few(max(counts, default=0), most)
    if len(counts) > 1:
        raise malformed("inputs must have as many rows in each column", sorted(counts))
    flat = {name: [_only(cell) for cell in cells] for name, cells in columns.items()}
    return [{name: cells[number] for name, cells in flat.items()} for number in range(max(counts, default=0))]


def _only(cell: Any) -> Any:
    """A column of shape [n, 1] has its cells in lists of one."""
    return cell[0] if isinstance(cell, list) and len(cell) == 1 else cell


def _from_records(form: str, data: Any, inputs: Sequence[str]) -> list[Row]:
    if not isinstance(data, list):
        raise malformed(f"{form} must be a list of rows", data)
    rows: list[Row] = []
    for number, one in enumerate(data):
        if isinstance(one, dict):
            rows.append({name: _only(cell) for name, cell in one.items()})
        elif isinstance(one, list) and len(one) == len(inputs):
            rows.append(dict(zip(inputs, one, strict=True)))
        else:
            raise malformed(
                f"{form}: row {number} must be an object, or a list of the {len(inputs)} columns' cells", one
            )
    return rows


def encode(request_id: str, answered: Sequence[AnsweredRow]) -> dict[str, Any]:
    """The body of an answer; raises TurnedAway when every row was rejected."""
    refused = rejections(answered)
    told: dict[str, Any] = {"predictions": [row.reply.prediction for row in answered]}
    if not refused:
        return told
    if len(refused) == len(answered):
        reasons = "; ".join(f"row {one['row']}: {one['reason']}" for one in refused)
        raise TurnedAway(422, reasons, **told, id=request_id, rejections=refused)
    return told | {"rejections": refused}
