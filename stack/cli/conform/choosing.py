"""Checks of infers that a server may answer or refuse, and of which it must do one or the other."""

from stack.cli.conform.exchange import NotOffered
from stack.cli.conform.inputs import NUMBERS
from stack.cli.conform.subject import Subject
from stack.cli.conform.tensors import answered_or_refused


def one_more_dimension(on: Subject) -> str:
    """Columns as pandas has them, n rows of one: the protocol says nothing of it."""
    if any(one.shape or not one.rows for one in on.row):
        raise NotOffered("the inputs are no plain columns")
    body = on.body()
    for tensor in body["inputs"]:
        tensor |= {"shape": [1, 1], "data": [tensor["data"]]}
    return answered_or_refused(on.infer(body))


def text_in_bytes(on: Subject) -> str:
    """Texts of other alphabets: no category that a model knows."""
    if not any(one.datatype == "BYTES" for one in on.row):
        raise NotOffered("no input is BYTES")
    body = on.body()
    for tensor in body["inputs"]:
        if tensor["datatype"] == "BYTES":
            tensor["data"] = ["Zoë 東京 🚗"] * len(tensor["data"])
            break
    return answered_or_refused(on.infer(body))


def parameters(on: Subject) -> str:
    """Of a server's own: that another ignores or refuses them is its choice."""
    more = {"x_text": "one", "x_number": 1.5, "x_flag": True}
    body = on.body(parameters=more)
    body["inputs"][0]["parameters"] = more
    return answered_or_refused(on.infer(body))


def text_among_numbers(on: Subject) -> str:
    """The server can decide to coerce, or return an error."""
    body = on.body()
    for tensor in body["inputs"]:
        if tensor["datatype"] in NUMBERS:
            tensor["data"] = ["soon"] * len(tensor["data"])
            return answered_or_refused(on.infer(body))
    raise NotOffered("no input is a number")


def no_rows(on: Subject) -> str:
    on.require_rows()
    return answered_or_refused(on.infer(on.body(0) | {"inputs": [one.tensor(0) | {"data": []} for one in on.row]}))


def without_an_input(on: Subject) -> str:
    body = on.body()
    if len(body["inputs"]) == 1:
        raise NotOffered("there is one input")
    return answered_or_refused(on.infer(body | {"inputs": body["inputs"][1:]}))


def unknown_input(on: Subject) -> str:
    body = on.body()
    body["inputs"].append(body["inputs"][0] | {"name": "no-such-input"})
    return answered_or_refused(on.infer(body))
