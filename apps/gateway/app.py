"""The doors as a FastAPI application: paths, descriptions and examples in one table, and one frame around each door."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from structlog.stdlib import BoundLogger

from apps.gateway import examples, mlflow_scoring
from apps.gateway.asking import ENDS
from apps.gateway.doors import KEY, VERSION, Doors, Handler, told, turned_away
from apps.gateway.page import page
from apps.gateway.turned_away import RETRY, TurnedAway

CODES = {
    200: "Answered.",
    202: "Taken; not answered yet.",
    400: "The body is not what the protocol wants; the error says where.",
    404: "Unknown; the error lists what there is.",
    408: "The body does not come to its end in time.",
    409: "The same id with another body within the window, or a version that no longer answers.",
    413: "A row, the body or the number of rows is larger than any server takes.",
    415: "A type or an encoding of bodies that nobody reads here.",
    422: "Every row was rejected; `rejections` has each one's reason.",
    429: "Too many rows wait already, or too many bodies come at once; Retry-After says when to come again.",
    503: "No infer would be answered now; the error says what is waited for.",
    504: "Not answered in time. The request stands in Kafka and will be answered: ask GET /v1/answers/ID, or send the "
    "same again with the same id, which asks nothing twice.",
}
READ = (400, 408, 413, 415)  # of every door that reads a body
ASKED = (200, *READ, 409, 422, 429, 503, 504)
ABOUT = (
    "An HTTP door beside Kafka. Every request becomes a record of the requests topic, and its answer is read from the "
    "answers topic, so nothing that was taken is lost. The same id (or {key}) with the same body within {window} s has "
    "the same answer and asks nothing twice, whichever gateway is asked; with another body it is a conflict."
)
ROWS = (
    "One input tensor per column, named as the column; rows are the first dimension, [n] or [n, 1]. null and NaN are "
    "missing. BYTES is text, or base64 where the parameter content_type says so; binary tensors come behind the JSON. "
    "Outputs: prediction (FP64) and rejection (BYTES). A rejected row has the prediction null (NaN in binary) and its "
    "reason; when all rows were rejected the status is 422. Row i of several has the id ID/i."
)


@dataclass(frozen=True)
class Door:
    """A line of the table; ``examples`` is media type -> name -> body."""

    method: str
    path: str
    does: Handler
    about: str
    codes: Sequence[int] = (200,)
    examples: dict[str, dict[str, Any]] | None = None


def table(doors: Doors) -> list[Door]:
    """Every door, in the order of the page."""
    fields = examples.row(doors.dataset)
    infer = {"application/json": {"one row": examples.infer(doors.dataset, fields, "car-17")}}
    names, cells = list(fields), list(fields.values())
    scoring: dict[str, dict[str, Any]] = {
        "application/json": {
            "dataframe_split": {"dataframe_split": {"columns": names, "data": [cells]}},
            "dataframe_records": {"dataframe_records": [fields]},
            "inputs": {"inputs": {name: [cell] for name, cell in fields.items()}},
            "instances": {"instances": [fields]},
        },
        "text/csv": {"one row": f"{','.join(names)}\n{','.join(f'{cell}' for cell in cells)}\n"},
    }
    outcome = {"application/json": {"one": {"request_id": "car-17", "outcome": 1}}}
    model = "/v2/models/{model}"
    version = model + "/versions/{version}"
    only = "The only model is that of this stack; the only version the one that serves, two during a hand-over."
    return [
        Door("POST", f"{model}/infer", doors.infer, f"Predict. {ROWS}", (*ASKED, 404), infer),
        Door("POST", f"{version}/infer", doors.infer, f"Predict by that version. {ROWS}", (*ASKED, 404), infer),
        Door("GET", "/v2", doors.server, "What this server is."),
        Door("GET", "/v2/health/live", doors.live, "Whether the process lives."),
        Door("GET", "/v2/health/ready", doors.ready, "Whether an infer sent now would be answered.", (200, 503)),
        Door("GET", model, doors.model, f"The columns, their datatypes, and what serves. {only}", (200, 404)),
        Door("GET", version, doors.model, f"The same of a version. {only}", (200, 404)),
        Door("GET", f"{model}/ready", doors.model_ready, "As /v2/health/ready.", (200, 404, 503)),
        Door("GET", f"{version}/ready", doors.model_ready, "As /v2/health/ready, of a version.", (200, 404, 503)),
        Door(
            "POST",
            "/invocations",
            doors.invocations,
            f"Predict, by MLflow's scoring protocol: one of {', '.join(mlflow_scoring.FORMS)}, or CSV with a header. "
            f"{KEY} names the request. A rejected row has the prediction null and a line in rejections.",
            ASKED,
            scoring,
        ),
        Door("GET", "/ping", doors.ping, "As /v2/health/ready.", (200, 503)),
        Door("GET", "/health", doors.ping, "As /v2/health/ready.", (200, 503)),
        Door("GET", "/version", doors.version, "The version of MLflow whose protocol is spoken."),
        Door("GET", "/v1/answers/{id}", doors.answer, "The answer to a request of any client.", (200, 202, 404)),
        Door(
            "POST",
            "/v1/outcomes",
            doors.take_outcomes,
            "What the true values turned out to be: an object, or a list of them. Taken when Kafka has them.",
            (202, *READ, 422, 429, 503, 504),
            outcome,
        ),
        Door(
            "GET",
            "/v1/following",
            doors.following,
            "Whether this gateway has read the topics, whatever serves: what a roll-out of gateways waits for.",
            (200, 503),
        ),
    ]


def application(doors: Doors, log: BoundLogger) -> FastAPI:
    """The doors behind their paths."""
    about = ABOUT.format(key=KEY, window=doors.settings.remember_s)
    app = FastAPI(
        title=f"Baton: {doors.names.model}", description=about, version=VERSION, docs_url=None, redoc_url=None
    )
    for door in table(doors):
        app.add_api_route(
            door.path.replace("{id}", "{id:path}"),
            _framed(door, doors, log),
            methods=[door.method],
            description=door.about,
            operation_id=f"{door.method} {door.path}",
            responses={code: {"description": CODES[code]} for code in door.codes},
            status_code=door.codes[0],
            response_class=Response,
            openapi_extra=_openapi(door),
        )

    @app.get("/docs", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def docs() -> Response:
        return Response(page(app.openapi()), media_type="text/html")

    @app.exception_handler(HTTPException)
    def nowhere(request: Request, error: Any) -> Response:
        code: int = error.status_code
        doors.counts.note("none", code, 0.0)
        rule = "a path must be one of /openapi.json, by its method"
        return told(
            code, {"error": f"{rule}; got {request.method} {request.url.path!r:.120}; see /docs"}, error.headers
        )

    return app


def _framed(door: Door, doors: Doors, log: BoundLogger) -> Handler:
    """The door, counted and timed, and with a response for whatever it raises."""
    name = f"{door.method} {door.path}"

    async def framed(request: Request) -> Response:
        began = time.monotonic()
        try:
            response = await door.does(request)
        except TurnedAway as away:
            response = turned_away(away)
        except asyncio.CancelledError:
            response = turned_away(TurnedAway(503, f"{ENDS}; ask again", RETRY))
        except Exception:
            log.exception("a door fails", door=name)
            response = told(500, {"error": f"{name} must answer; it fails; see the log of the gateway"})
        doors.counts.note(name, response.status_code, time.monotonic() - began)
        return response

    return framed


def _openapi(door: Door) -> dict[str, Any]:
    """What of a door FastAPI cannot see: its path's parts, and its body, which is read by hand."""
    parts = [part[1:-1] for part in door.path.split("/") if part.startswith("{")]
    extra: dict[str, Any] = {
        "parameters": [{"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in parts]
    }
    if door.examples:
        content = {
            kind: {"examples": {name: {"value": body} for name, body in bodies.items()}}
            for kind, bodies in door.examples.items()
        }
        extra["requestBody"] = {"required": True, "content": content}
        key = {"name": KEY, "in": "header", "required": False, "schema": {"type": "string"}}
        extra["parameters"].append(key)
    return extra
