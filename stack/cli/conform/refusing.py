"""Checks of infers that no server can answer, each by a 4xx with an error, whatever else it does."""

from stack.cli.conform.subject import Subject
from stack.cli.conform.wanted import refused

DEEP = 100_000  # lists within lists


def malformed_json(on: Subject) -> str:
    return refused(on.infer(b'{"inputs": [{"name": '))


def no_object(on: Subject) -> str:
    return refused(on.infer(b"[1, 2]"))


def no_body(on: Subject) -> str:
    return refused(on.infer(b""))


def no_inputs(on: Subject) -> str:
    body = on.body()
    del body["inputs"]
    return refused(on.infer(body))


def deep_json(on: Subject) -> str:
    return refused(on.infer(b"[" * DEEP + b"]" * DEEP))


def unknown_datatype(on: Subject) -> str:
    return refused(on.infer(on.changed(datatype="FP99")))


def too_few_elements(on: Subject) -> str:
    tensor = on.row[0].tensor()
    return refused(on.infer(on.changed(data=[], shape=tensor["shape"])))


def too_many_elements(on: Subject) -> str:
    cells = on.row[0].tensor()["data"]
    return refused(on.infer(on.changed(data=[*cells, *cells, cells[0]])))


def negative_shape(on: Subject) -> str:
    return refused(on.infer(on.changed(shape=[-size for size in on.row[0].tensor()["shape"]])))


def no_shape(on: Subject) -> str:
    body = on.body()
    del body["inputs"][0]["shape"]
    return refused(on.infer(body))


def unknown_output(on: Subject) -> str:
    return refused(on.infer(on.body(outputs=[{"name": "no-such-output"}])))
