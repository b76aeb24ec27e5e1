"""Tensors as they must be, in metadata and in the answers to infers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stack.cli.conform.exchange import HttpReply
from stack.cli.conform.inputs import DATATYPES, flat
from stack.cli.conform.wanted import OK, refused, texts, told, wanted

KINDS: dict[str, tuple[type, ...]] = {"BYTES": (str,), "BOOL": (bool,)}  # and numbers for all others
Outputs = Mapping[str, Mapping[str, Any]]  # name -> output, its data flat


def described(tensor: Any) -> str:
    """A tensor of the metadata; returns its name."""
    return _described(tensor, "a tensor", -1, "whole numbers, -1 for any")


def named(output: Any) -> str:
    """An output of an answer: its name, datatype and shape are of their kinds; returns its name."""
    return _described(output, "an output", 0, "whole numbers")


def _described(one: Any, kind: str, least: int, sizes: str) -> str:
    wanted(isinstance(one, dict), f"{kind} must be an object", repr(one))
    texts(one, "name", "datatype")
    wanted(one["datatype"] in DATATYPES, "a datatype must be one of the protocol's", one["datatype"])
    shape = one.get("shape")
    fits = isinstance(shape, list) and all(_is_int(size) and size >= least for size in shape)
    wanted(fits, f"the shape of {one['name']} must be {sizes}", shape)
    return str(one["name"])


def outputs(reply: HttpReply) -> Outputs:
    """The outputs of an answered infer; shapes and data agree."""
    body = told(reply)
    found = body.get("outputs")
    wanted(isinstance(found, list), "outputs must be a list", repr(found))
    by_name = {named(one): {**one, "data": _data(one)} for one in found or []}
    wanted(len(by_name) == len(found or []), "each output must have a name of its own", [*by_name])
    return by_name


def _data(one: Mapping[str, Any]) -> list[Any]:
    wanted(isinstance(one.get("data"), list), f"the data of {one['name']} must be a list", repr(one.get("data")))
    cells = flat(one["data"])
    rule = f"the data of {one['name']} must be as many as the shape {one['shape']} says"
    wanted(len(cells) == math.prod(one["shape"]), rule, len(cells))
    strange = [cell for cell in cells if type(cell) not in KINDS.get(one["datatype"], (int, float))]
    wanted(not strange, f"the data of {one['name']} must be {one['datatype']}", strange[:3])
    return cells


def same(got: Outputs, wants: Outputs, times: int = 1) -> None:
    """The data are those of other outputs, so many times over."""
    wanted([*got] == [*wants], f"the outputs must be {', '.join(wants)}", ", ".join(got))
    for name, one in got.items():
        cells = [*wants[name]["data"]] * times
        rule = f"{name} must be {str(cells)[:80]}, as of the same rows before"
        wanted(close(one["data"], cells), rule, str(one["data"])[:80])


def close(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether cells are equal, numbers to six digits."""
    if len(some) != len(others):
        return False
    return all(
        math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
        if isinstance(one, int | float) and isinstance(other, int | float)
        else one == other
        for one, other in zip(some, others, strict=True)
    )


def answered_or_refused(reply: HttpReply) -> str:
    """A request that a server may take or not: sound outputs, or refused as any."""
    if reply.status != OK:
        return refused(reply)
    return f"200 {', '.join(outputs(reply))}"


def _is_int(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool)
