"""Checks of HTTP itself, on which the protocol stands: methods, types, lengths, connections."""

import json
from contextlib import closing

from stack.cli.conform import wanted
from stack.cli.conform.exchange import JSON_TYPE, HttpReply, NotOffered
from stack.cli.conform.subject import NOBODY, Subject
from stack.cli.conform.tensors import answered_or_refused, outputs, same

LARGE = 8 * 1024 * 1024  # bytes, more than most servers take by default
NOT_ALLOWED, NOT_FOUND = 405, 404


def types_of_answers(on: Subject) -> str:
    replies = {"infer": on.first, "metadata": on.endpoint.get(on.path), "an error": on.infer(b"{")}
    kinds = {what: reply.headers.get("content-type", "none") for what, reply in replies.items()}
    wrong = [f"{what}: {kind}" for what, kind in kinds.items() if kind.partition(";")[0] != "application/json"]
    wanted.wanted(not wrong, "Content-Type must be application/json", ", ".join(wrong))
    return "application/json"


def get_on_infer(on: Subject) -> str:
    return _not_allowed(on.endpoint.get(f"{on.path}/infer"))


def head_on_infer(on: Subject) -> str:
    return _not_allowed(on.endpoint.get(f"{on.path}/infer", "HEAD"))


def _not_allowed(reply: HttpReply) -> str:
    wanted.wanted(reply.status in (NOT_ALLOWED, NOT_FOUND), "the status must be 405, or 404", reply)
    allows = reply.headers.get("allow", "")
    wanted.wanted(reply.status == NOT_FOUND or "POST" in allows, "Allow of a 405 must name POST", repr(allows))
    return str(reply.status)


def unknown_path(on: Subject) -> str:
    reply = on.endpoint.get(f"/v2/{NOBODY}")
    wanted.wanted(reply.status == NOT_FOUND, "the status must be 404", reply)
    return str(reply)


def large_body(on: Subject) -> str:
    """A parameter as long as a file: to be taken, or refused by an answer."""
    return answered_or_refused(on.infer(on.body(parameters={"x_text": "x" * LARGE})))


def chunked_body(on: Subject) -> str:
    content = json.dumps(on.body()).encode()
    chunks = iter([content[:20], content[20:]])
    same(outputs(on.infer(chunks)), outputs(on.first))  # of no known length: http.client sends them so
    return "200"


def connection_after_an_error(on: Subject) -> str:
    path = f"{on.path}/infer"
    with closing(on.endpoint.connection()) as one:
        first = on.endpoint.ask(one, "POST", path, b"{", JSON_TYPE)
        if (kept := one.sock) is None:  # as http.client has it once the answer says so
            raise NotOffered("the server says that it closes the connection")
        second = outputs(on.endpoint.ask(one, "POST", path, on.body(), JSON_TYPE))
        wanted.wanted(kept is one.sock, "the connection must be kept, or its end be told", "another one")
    same(second, outputs(on.first))
    return f"{first.status}, then 200"
