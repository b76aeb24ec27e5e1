"""What an answer must be: each of these tells what was got, or raises Deviation."""

from collections.abc import Mapping
from typing import Any

from stack.cli.conform.exchange import Deviation, HttpReply

ERROR, METADATA_ERROR = "Inference Response JSON Error Object", "Model Metadata Response JSON Error Object"
CLIENT_FAULT = "RFC 9110, 15.5"
OK, BAD_REQUEST, SERVER_ERROR = 200, 400, 500


def wanted(fits: bool, rule: str, got: object, source: str = "") -> None:
    """Raise Deviation unless it ``fits``."""
    if not fits:
        raise Deviation(f"{rule}; got {got}", source)


def ok(reply: HttpReply) -> HttpReply:
    """The answer itself, of status 200."""
    wanted(reply.status == OK, "the status must be 200", reply)
    return reply


def told(reply: HttpReply) -> dict[str, Any]:
    """The JSON object of an answer of status 200."""
    body = ok(reply).json()
    wanted(isinstance(body, dict), "the body must be a JSON object", reply)
    return dict(body)


def texts(body: Mapping[str, Any], *names: str) -> None:
    """Each of these fields is a text."""
    for name in names:
        wanted(isinstance(body.get(name), str), f"{name} must be a text", repr(body.get(name)))


def health(reply: HttpReply, *names: str) -> str:
    """
    A probe's answer: 200, and true by one of ``names`` where it has a body.

    The protocol's text has a body, its OpenAPI document none: either is right.
    """
    if not ok(reply).body.strip():
        return "200, no body"
    body = told(reply)
    found = [name for name in names if body.get(name) is True]
    wanted(bool(found), f"{' or '.join(names)} must be true", reply)
    return str(reply)


def refused(reply: HttpReply, of: str = ERROR) -> str:
    """
    A request that no server can answer: an error status, and an object with the text error, as ``of`` has it.

    That the status is 4xx is HTTP's wish: the protocol says only that it is typically 400.
    """
    wanted(reply.status >= BAD_REQUEST, "such a request must be refused", reply)
    try:
        body = reply.json()
    except Deviation:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    wanted(isinstance(error, str), 'the body must have the text "error"', reply, of)
    wanted(reply.status < SERVER_ERROR, "a fault of the client is 4xx", reply, CLIENT_FAULT)
    return str(reply)
