"""The model that is looked at: its paths, what was learnt of it beforehand, and infers of its row."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from apps.common.errors import SettingsError, Unavailable
from stack.cli.conform import inputs, wanted
from stack.cli.conform import tensors as tensors_of
from stack.cli.conform.exchange import Deviation, Endpoint, HttpReply, NotOffered
from stack.cli.conform.inputs import InputRow, Json

NOBODY = "no-such-model"


@dataclass(frozen=True)
class Subject:
    """One model of one server; ``first`` answered an infer of ``row`` with the id ``first_id``."""

    endpoint: Endpoint
    model: str
    server: Mapping[str, Any]
    metadata: Mapping[str, Any]
    row: Sequence[InputRow]
    first_id: str
    first: HttpReply

    @property
    def path(self) -> str:
        """The model's."""
        return f"/v2/models/{self.model}"

    @property
    def extensions(self) -> Sequence[str]:
        """What the server says that it speaks beside the protocol."""
        told = self.server.get("extensions")
        return told if isinstance(told, list) else []

    def body(self, rows: int = 1, *, nested: bool = False, **more: Any) -> Json:
        """An inference request of the row, with an id of its own."""
        tensors = [one.tensor(rows, nested=nested) for one in self.row]
        return {"id": new_id(), "inputs": tensors, **more}

    def infer(self, body: Any) -> HttpReply:
        """The answer to a body; raises Deviation when there is none."""
        return self.endpoint.post(f"{self.path}/infer", body)

    def changed(self, **more: Any) -> Json:
        """A body whose first input is another."""
        body = self.body()
        body["inputs"][0] |= more
        return body

    def require_rows(self) -> None:
        """Raise NotOffered when an input takes no more than its one row."""
        if not all(one.rows for one in self.row):
            raise NotOffered("the first dimension of the inputs is fixed")


def new_id() -> str:
    """An id that no request has had."""
    return f"conform-{secrets.token_hex(8)}"


def found(endpoint: Endpoint, model: str, body: Any) -> Subject:
    """
    The model by its name, or the only one that the server tells of; ``body`` is what --input says, None without it.

    Raises Unavailable when nothing can be said of it: no server, or no answer to a plain infer. Raises SettingsError
    when it must be named.
    """
    endpoint.require_listening()
    try:
        name = model or _only(endpoint)
        server, metadata = _object(endpoint.get("/v2")), _object(endpoint.get(f"/v2/models/{name}"))
        known = _described(metadata.get("inputs"))
        row = inputs.given(body, known) if body is not None else inputs.neutral(known)
        if not row:
            raise SettingsError("--input must be given, as the metadata tells of no inputs; got none; name a file")
        request_id = new_id()
        asked = {"id": request_id, "inputs": [one.tensor() for one in row]}
        first = endpoint.post(f"/v2/models/{name}/infer", asked)
    except Deviation as error:
        raise Unavailable(f"the server must answer before it is judged; got {error}; see its log") from error
    if first.status != wanted.OK:
        remedy = "is it ready, and is --input a body that it takes?" if body else "give a body that it takes: --input"
        raise Unavailable(f"a plain infer of {name} must be answered by 200; got {first}; {remedy}")
    return Subject(endpoint, name, server, metadata, row, request_id, first)


def _object(reply: HttpReply) -> Mapping[str, Any]:
    """The object in an answer, empty where there is none: the checks will say so."""
    try:
        return wanted.told(reply)
    except Deviation:
        return {}


def _described(tensors: Any) -> list[Json]:
    """Those that are described as they must be; what is wrong with the others a check will say."""
    found = []
    for one in tensors if isinstance(tensors, list) else []:
        with suppress(Deviation):
            tensors_of.described(one)
            found.append(one)
    return found


def _only(endpoint: Endpoint) -> str:
    """The only model of the server, as some tell in lists of their own: KServe's, and Baton's in its 404."""
    for path in ("/v2/models", f"/v2/models/{NOBODY}"):
        reply = endpoint.get(path)
        told = reply.json() if reply.body[:1] == b"{" else {}
        models = told.get("models")
        if isinstance(models, list) and len(models) == 1 and isinstance(models[0], str):
            return models[0]
    raise SettingsError("--model must be given, as the server tells of none, or several; got none; name one")
