"""
What the model registry says, over MLflow's REST interface.

A watcher asks one question each few seconds; importing the whole of mlflow for it would cost 3 s and 200 MB.
"""

from dataclasses import dataclass

import requests

from apps.common.errors import Unavailable

CHAMPION = "champion"
TIMEOUT_S = 10


@dataclass(frozen=True)
class Version:
    """A registered model version; ``tags`` holds batch, content_hash and dataset."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]


def _get(mlflow: str, path: str, **query: str) -> dict[str, object] | None:
    url = f"{mlflow}/api/2.0/mlflow/{path}"
    try:
        response = requests.get(url, params=query, timeout=TIMEOUT_S)
        missing = response.status_code in (400, 404) and "DOES_NOT_EXIST" in response.text
        missing = missing or (response.status_code == 400 and "INVALID_PARAMETER_VALUE" in response.text)
        if missing:
            return None
        response.raise_for_status()
        body: dict[str, object] = response.json()
    except (requests.RequestException, ValueError) as error:
        message = f"MLflow must answer at {mlflow}; got {error}; is the stack up?"
        raise Unavailable(message) from error
    return body


def _version(raw: dict[str, object]) -> Version:
    tags = raw.get("tags") or []
    assert isinstance(tags, list)  # noqa: S101 - MLflow's schema
    return Version(
        name=str(raw["name"]),
        version=str(raw["version"]),
        run_id=str(raw["run_id"]),
        tags={tag["key"]: tag["value"] for tag in tags},
    )


def champion(mlflow: str, name: str) -> Version | None:
    """The version that the alias ``champion`` of model ``name`` points at, or None before there is one."""
    body = _get(mlflow, "registered-models/alias", name=name, alias=CHAMPION)
    return _version(body["model_version"]) if body else None  # type: ignore[arg-type]


def versions(mlflow: str, name: str) -> list[Version]:
    """Every version of model ``name``, oldest first."""
    query = {"filter": f"name='{name}'", "max_results": "1000"}
    body = _get(mlflow, "model-versions/search", **query)
    found = (body or {}).get("model_versions") or []
    assert isinstance(found, list)  # noqa: S101 - MLflow's schema
    return sorted((_version(raw) for raw in found), key=lambda version: int(version.version))


def metrics(mlflow: str, run_id: str) -> dict[str, float]:
    """The last value of each metric of a run."""
    body = _get(mlflow, "runs/get", run_id=run_id) or {}
    data = body.get("run", {}).get("data", {})  # type: ignore[attr-defined]
    return {metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])}
