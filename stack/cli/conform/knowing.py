"""Checks of what a client may know beforehand: health, and the metadata of server, model and versions."""

import re

from stack.cli.conform import wanted
from stack.cli.conform.exchange import NotOffered
from stack.cli.conform.subject import NOBODY, Subject
from stack.cli.conform.tensors import described
from stack.cli.conform.wanted import METADATA_ERROR, refused, told

PLATFORM = re.compile(r"[a-z0-9]+_[a-z0-9]+")


def live(on: Subject) -> str:
    return wanted.health(on.endpoint.get("/v2/health/live"), "live")


def ready(on: Subject) -> str:
    """By the name that the protocol's text has, or by that of its gRPC half."""
    return wanted.health(on.endpoint.get("/v2/health/ready"), "live", "ready")


def server_metadata(on: Subject) -> str:
    reply = on.endpoint.get("/v2")
    body = told(reply)
    wanted.texts(body, "name", "version")
    extensions = body.get("extensions")
    fits = isinstance(extensions, list) and all(isinstance(one, str) for one in extensions)
    wanted.wanted(fits, "extensions must be a list of texts", extensions)
    return str(reply)


def model_metadata(on: Subject) -> str:
    """The text wants inputs and outputs, the OpenAPI document does not: they may be left out, not be something else."""
    body = told(on.endpoint.get(on.path))
    wanted.texts(body, "name", "platform")
    wanted.wanted(body["name"] == on.model, f"name must be {on.model}", body["name"])
    versions = body.get("versions") or []  # null is as good as left out, in what is optional
    fits = isinstance(versions, list) and all(isinstance(one, str) for one in versions)
    wanted.wanted(fits, "versions must be a list of texts", versions)
    counts = []
    for kind in ("inputs", "outputs"):
        tensors = body.get(kind, [])
        wanted.wanted(isinstance(tensors, list), f"{kind} must be a list", repr(tensors))
        counts.append(f"{len([described(one) for one in tensors])} {kind}")
    return ", ".join(counts)


def platform(on: Subject) -> str:
    name = on.metadata.get("platform")
    fits = isinstance(name, str) and PLATFORM.fullmatch(name) is not None
    wanted.wanted(fits, "platform must be of the form <project>_<format>", repr(name))
    return str(name)


def model_ready(on: Subject) -> str:
    reply = on.endpoint.get(f"{on.path}/ready")
    got = wanted.health(reply, "ready")
    if reply.body.strip():
        wanted.wanted(told(reply).get("name") == on.model, f"name must be {on.model}", got)
    return got


def version_paths(on: Subject) -> str:
    version = _version(on)
    path = f"{on.path}/versions/{version}"
    wanted.wanted(told(on.endpoint.get(path)).get("name") == on.model, "its metadata must name the model", version)
    wanted.health(on.endpoint.get(f"{path}/ready"), "ready")
    body = told(on.endpoint.post(f"{path}/infer", on.body()))
    fits = body.get("model_version", version) == version
    wanted.wanted(fits, f"model_version must be {version}", body.get("model_version"))
    return f"version {version}"


def unknown_version(on: Subject) -> str:
    _version(on)
    path = f"{on.path}/versions/no-such-version"
    refused(on.endpoint.get(path), METADATA_ERROR)
    return refused(on.endpoint.post(f"{path}/infer", on.body()))


def _version(on: Subject) -> str:
    versions = on.metadata.get("versions")
    if not isinstance(versions, list) or not versions:
        raise NotOffered("the metadata lists no versions")
    return str(versions[0])


def unknown_model(on: Subject) -> str:
    path = f"/v2/models/{NOBODY}"
    refused(on.endpoint.get(path), METADATA_ERROR)
    return refused(on.endpoint.post(f"{path}/infer", on.body()))


def unknown_model_ready(on: Subject) -> str:
    """The protocol has no error object here."""
    reply = on.endpoint.get(f"/v2/models/{NOBODY}/ready")
    fits = wanted.BAD_REQUEST <= reply.status < wanted.SERVER_ERROR
    wanted.wanted(fits, "the status must be 4xx", reply)
    return str(reply)
