"""What infers are made of: one row, from the model's metadata or from a body that a person gives, written as needed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.common.errors import SettingsError

NUMBERS = {  # datatype -> the letter that struct knows it by
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
DATATYPES = ("BOOL", *NUMBERS, "BYTES", "BF16")  # the protocol's text speaks of the last one, its table does not
NEUTRAL: dict[str, Any] = {"BOOL": False, "BYTES": "1"}  # and 1 for every number
Json = dict[str, Any]


@dataclass(frozen=True)
class InputRow:
    """One input: its cells of one row; an input that has ``rows`` takes several of them, in its first dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    cells: Sequence[Any]
    rows: bool = True

    def tensor(self, rows: int = 1, *, nested: bool = False) -> Json:
        """The input as JSON, its data flat or nested as its shape is."""
        shape = [rows, *self.shape] if self.rows else [*self.shape]
        cells = [*self.cells] * (rows if self.rows else 1)
        return {
            "name": self.name,
            "shape": shape,
            "datatype": self.datatype,
            "data": folded(cells, shape) if nested else cells,
        }


def folded(cells: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """Flat cells as lists of lists, row-major."""
    if len(shape) <= 1:
        return list(cells)
    size = math.prod(shape[1:])
    return [folded(cells[place : place + size], shape[1:]) for place in range(0, len(cells), size)]


def flat(data: Any) -> list[Any]:
    """Lists of lists as one."""
    return [cell for one in data for cell in flat(one)] if isinstance(data, list) else [data]


def neutral(metadata: Sequence[Mapping[str, Any]]) -> list[InputRow]:
    """A row for inputs that the metadata describes; a dimension of any size has 1."""
    found = []
    for told in metadata:
        sizes = [int(size) for size in told["shape"]]
        rows = sizes[:1] == [-1]
        shape = tuple(1 if size < 0 else size for size in (sizes[1:] if rows else sizes))
        cell = NEUTRAL.get(told["datatype"], 1)
        found.append(InputRow(told["name"], told["datatype"], shape, [cell] * math.prod(shape), rows))
    return found


def given(body: Any, metadata: Sequence[Mapping[str, Any]]) -> list[InputRow]:
    """
    The first row of a body; raises SettingsError for one that is no inference request.

    All of an input whose first dimension is fixed by the metadata: it takes no further rows.
    """
    fixed = {told["name"] for told in metadata if told["shape"][:1] != [-1]}
    try:
        return [_row(tensor, rows=tensor["name"] not in fixed) for tensor in body["inputs"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        rule = "--input must be an inference request with inputs, each with name, shape, datatype and data"
        raise SettingsError(f"{rule}; got {error!r} in {str(body)[:80]!r}; see docs/clients.md") from error


def _row(tensor: Json, *, rows: bool) -> InputRow:
    shape, cells = tuple(tensor["shape"]), flat(tensor["data"])
    if not cells or len(cells) != math.prod(shape):
        raise ValueError(f"{len(cells)} elements in the shape {shape}")
    shape = shape[1:] if rows else shape
    return InputRow(str(tensor["name"]), str(tensor["datatype"]), shape, cells[: math.prod(shape)], rows)
