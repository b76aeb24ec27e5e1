"""
What each door does: a request in, a response out, or TurnedAway.

A door knows of paths and bytes; what bodies mean is open_inference's and mlflow_scoring's, the way to Kafka asking's.
"""

import importlib.metadata
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from apps.common.names import StackNames
from apps.datasets.declaration import Dataset
from apps.gateway import bodies, examples, mlflow_scoring, open_inference, outcomes
from apps.gateway.asking import Asking, request_id_of
from apps.gateway.counts import DoorCounts
from apps.gateway.open_inference import JSON_LENGTH, OUTPUTS
from apps.gateway.outcomes import KnownOutcome
from apps.gateway.settings import GatewaySettings
from apps.gateway.turned_away import RETRY, TurnedAway

KEY = "Idempotency-Key"
BODIES = 8  # of the largest size that may come at once
PLATFORM = "spark_ml"  # the protocol's form is <project>_<format>
VERSION = "0.1.0"  # the project's; a test compares

Handler = Callable[[Request], Awaitable[Response]]


class OutcomeSender(Protocol):
    """Where outcomes go."""

    async def outcomes(self, outcomes: list[KnownOutcome], timeout_s: float) -> None:
        """Return when they are kept; raises TurnedAway."""


def told(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A response of JSON, in ASCII: a text of a client need not be one that UTF-8 can write."""
    return Response(json.dumps(body), status, headers, "application/json")


def turned_away(away: TurnedAway) -> Response:
    """The response that says so."""
    return told(away.status, {"error": str(away), **away.told}, away.headers)


@dataclass
class Doors:
    """The doors of one gateway."""

    settings: GatewaySettings
    names: StackNames
    dataset: Dataset
    asking: Asking
    sender: OutcomeSender
    counts: DoorCounts = field(default_factory=DoorCounts)

    def __post_init__(self) -> None:
        self.room = bodies.BodyRoom(BODIES * self.settings.max_body_bytes)

    # What a client may know beforehand.

    async def server(self, _request: Request) -> Response:
        """GET /v2"""
        return told(200, {"name": "baton", "version": VERSION, "extensions": ["binary_tensor_data"]})

    async def live(self, _request: Request) -> Response:
        """GET /v2/health/live"""
        return told(200, {"live": True})

    async def ready(self, _request: Request) -> Response:
        """GET /v2/health/ready"""
        self._require_ready()
        return told(200, {"live": True, "ready": True})  # the protocol's text says live here, its gRPC half ready

    async def following(self, _request: Request) -> Response:
        """GET /v1/following"""
        if self.asking.unread:
            raise TurnedAway(503, self.asking.waits_for(), RETRY)
        return told(200, {"following": True, "waits_for": self.asking.waits_for()})

    async def model(self, request: Request) -> Response:
        """GET /v2/models/{model} and .../versions/{version}"""
        self._require_version(self._require_model(request))
        known = {"name": self.names.model, "versions": self._versions(), "platform": PLATFORM}
        outputs = [{"name": name, "datatype": datatype, "shape": [-1]} for name, datatype in OUTPUTS.items()]
        return told(200, {**known, "inputs": examples.metadata(self.dataset), "outputs": outputs})

    async def model_ready(self, request: Request) -> Response:
        """GET /v2/models/{model}/ready and .../versions/{version}/ready"""
        self._require_version(self._require_model(request))
        self._require_ready()
        return told(200, {"name": self.names.model, "ready": True})

    async def ping(self, _request: Request) -> Response:
        """GET /ping and /health"""
        self._require_ready()
        return Response("\n", media_type="application/json")

    async def version(self, _request: Request) -> Response:
        """GET /version"""
        return Response(importlib.metadata.version("mlflow"), media_type="text/plain")

    # What a client asks.

    async def infer(self, request: Request) -> Response:
        """POST /v2/models/{model}/infer and .../versions/{version}/infer"""
        version = self._require_model(request)
        most, length = self.settings.in_flight, request.headers.get(JSON_LENGTH)
        inference = open_inference.decode(await self._body(request), length, most)
        request_id = request_id_of(inference.request_id, _key(request))
        if not self.asking.knows(request_id):  # the answer to one that is known may be of a version that has left
            self._require_version(version)
        answered = await self.asking.ask(request_id, bodies.values(inference.rows))
        others = {row.reply.version for row in answered} - {version}
        if version and others:
            got = f"got {version}; it was answered by {', '.join(sorted(others))}, which has taken over"
            raise TurnedAway(409, f"version must be the one that answers; {got}", id=request_id)
        content, headers = open_inference.encode(inference, request_id, self.names.model, answered)
        return Response(content, headers=headers)

    async def invocations(self, request: Request) -> Response:
        """POST /invocations"""
        columns = [column.name for column in examples.inputs(self.dataset)]
        kind, most = request.headers.get("content-type", ""), self.settings.in_flight
        values = bodies.values(mlflow_scoring.decode(await self._body(request), kind, columns, most))
        request_id = request_id_of(_key(request))
        answered = await self.asking.ask(request_id, values)
        return told(200, mlflow_scoring.encode(request_id, answered), {"X-Request-Id": quote(request_id)})

    async def answer(self, request: Request) -> Response:
        """GET /v1/answers/{id}"""
        request_id = request.path_params["id"]
        if (reply := self.asking.state(request_id)) is None:
            return told(202, {"id": request_id, "waits_for": self.asking.waits_for() or "its answer"}, RETRY)
        body: dict[str, Any] = {"prediction": reply.prediction, "rejection": reply.rejection}
        body |= {"cached": True} if reply.cached else {}
        return told(200, {"id": request_id, **body, "model_version": reply.version, "release": reply.release})

    async def take_outcomes(self, request: Request) -> Response:
        """POST /v1/outcomes"""
        found = outcomes.decode(await self._body(request), self.settings.in_flight)
        await self.sender.outcomes(found, self.settings.timeout_s)
        return told(202, {"outcomes": len(found)})

    # What several of them need.

    async def _body(self, request: Request) -> bytes:
        return await bodies.read(request, self.settings.max_body_bytes, self.settings.timeout_s, self.room)

    def _require_ready(self) -> None:
        if reason := self.asking.waits_for():
            raise TurnedAway(503, reason, RETRY, ready=False)

    def _require_model(self, request: Request) -> str:
        """The version in the path, or ""; raises TurnedAway for a model that is not this stack's."""
        name, version = request.path_params["model"], str(request.path_params.get("version", ""))
        if name != self.names.model:
            models = [self.names.model]
            raise TurnedAway(404, f"model must be one of {', '.join(models)}; got {name!r:.120}", models=models)
        return version

    def _versions(self) -> list[str]:
        return list(dict.fromkeys(one.version for one in self.asking.progress.answering()))

    def _require_version(self, version: str) -> None:
        """Raise TurnedAway for a version that does not answer; of those that may, the answer itself decides."""
        versions = self._versions()
        if version and versions and version not in versions:
            rule = f"version must be the one that serves, {' or '.join(versions)}"
            raise TurnedAway(404, f"{rule}; got {version!r:.40}; leave it out", versions=versions)


def _key(request: Request) -> str:
    """The header that names a request where its body does not, as UTF-8 where it is."""
    raw = request.headers.get(KEY, "").encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
