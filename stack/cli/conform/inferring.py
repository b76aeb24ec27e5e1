"""Checks of infers that any server answers."""

from concurrent.futures import ThreadPoolExecutor

from stack.cli.conform import wanted
from stack.cli.conform.exchange import NotOffered
from stack.cli.conform.subject import Subject
from stack.cli.conform.tensors import outputs, same
from stack.cli.conform.wanted import told

ROWS, MANY, AT_ONCE = 3, 100, 16


def infer(on: Subject) -> str:
    return "; ".join(f"{name} {one['datatype']} {one['shape']}" for name, one in outputs(on.first).items())


def model_name(on: Subject) -> str:
    got = told(on.first).get("model_name")
    wanted.wanted(got == on.model, f"model_name must be {on.model}", repr(got))
    return on.model


def id_comes_back(on: Subject) -> str:
    got = told(on.first).get("id")
    wanted.wanted(got == on.first_id, f"id must be {on.first_id!r}", repr(got))
    return on.first_id


def without_id(on: Subject) -> str:
    body = on.body()
    del body["id"]
    same(outputs(on.infer(body)), outputs(on.first))
    return "200"


def outputs_of_the_metadata(on: Subject) -> str:
    described = {one["name"]: one["datatype"] for one in on.metadata.get("outputs") or []}
    if not described:
        raise NotOffered("the metadata lists no outputs")
    got = {name: one["datatype"] for name, one in outputs(on.first).items()}
    wanted.wanted(got == described, f"the outputs must be {described}", got)
    return ", ".join(got)


def requested_output(on: Subject) -> str:
    name = next(iter(outputs(on.first)))
    got = outputs(on.infer(on.body(outputs=[{"name": name}])))
    wanted.wanted([*got] == [name], f"the only output must be {name}", ", ".join(got))
    return name


def flat_and_nested(on: Subject) -> str:
    on.require_rows()
    flat = outputs(on.infer(on.body(ROWS)))
    if not any(one.shape for one in on.row):
        raise NotOffered("each input has one dimension, where both are the same")
    same(outputs(on.infer(on.body(ROWS, nested=True))), flat)
    return "the same"


def several_rows(on: Subject) -> str:
    return _rows(on, ROWS)


def many_rows(on: Subject) -> str:
    return _rows(on, MANY)


def _rows(on: Subject, rows: int) -> str:
    on.require_rows()
    first = outputs(on.first)
    if any(one["shape"][:1] != [1] for one in first.values()):
        raise NotOffered("the outputs are not batched")
    got = outputs(on.infer(on.body(rows)))
    same(got, first, rows)
    return "; ".join(f"{name} {one['shape']}" for name, one in got.items())


def ids_at_once(on: Subject) -> str:
    bodies = [on.body() for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        got = [told(reply).get("id") for reply in pool.map(on.infer, bodies)]
    wrong = [(body["id"], one) for body, one in zip(bodies, got, strict=True) if one != body["id"]]
    wanted.wanted(not wrong, "each answer must have the id of its request", wrong[:2])
    return f"{AT_ONCE} ids"
