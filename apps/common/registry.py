"""
What the model registry says, over MLflow's REST interface.

A watcher asks one question each few seconds; importing the whole of mlflow for it would cost 3 s and 200 MB.
"""

import os
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from apps.common.errors import ModelRefused, Unavailable
from apps.common.schedule import ScheduleMark
from apps.common.target import Target

TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of the variable
CHAMPION = "champion"
MANIFEST_SHA256 = "manifest_sha256"  # tag of a version: of the file that holds the sha256 of all its others
CHAMPION_BEFORE = "champion_before"  # tag of a version's run: the run of the version that was champion when it began
CHAMPIONS = "champions"  # tag of a model: the numbers of its champions when a person last moved the alias, oldest first
CHAMPIONS_KEPT = 50
SCHEDULE = "schedule"  # tag of a model: up to when its schedule was acted on
PROMOTION = "promotion"  # tag of a version: PROMOTED, or why it was not made champion
PROMOTED = "promoted"
ALARM = "alarm"  # tag of a version: the live error for which it should not be champion
ROLLED_BACK = "rolled_back"  # tag of a version: to which one the alarm moved the alias from it, and why
GATE = "gate"  # tag of a version's run: what the gate held the version against, and what came out
TRAINING_SECONDS = "training_seconds"  # metric of a version's run: fit, cross-validate, stack and test
TIMEOUT_S = 10
PAGE = "1000"
_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST"})


@dataclass(frozen=True)
class Version:
    """A registered model version; ``tags`` holds batch, content_hash, dataset, MANIFEST_SHA256 and PROMOTION."""

    name: str
    version: str
    run_id: str
    tags: dict[str, str]

    @property
    def target(self) -> Target:
        """It as what a release serves."""
        return Target(self.name, self.version, self.run_id, self.tags.get(MANIFEST_SHA256, ""))

    @property
    def withheld(self) -> str:
        """Why its training did not make it champion; empty when it did, or has not come so far."""
        told = self.tags.get(PROMOTION, PROMOTED)
        return "" if told == PROMOTED else told

    @property
    def alarm(self) -> str:
        """What the alarm of live metrics has said of it and done; empty when nothing."""
        if done := self.tags.get(ROLLED_BACK):
            return f"rolled back {done}"
        return f"its live error is too large: {said}" if (said := self.tags.get(ALARM)) else ""


class _Session(requests.Session):
    """
    MLflow is part of the stack: no proxy of the machine's environment stands in between.

    A server that wants a token is shown the one in the variable from which MLflow's own client takes it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        if token := os.environ.get(TOKEN):  # noqa: TID251 - as MLflow's own client does in the same process
            self.headers["Authorization"] = f"Bearer {token}"


def _get(mlflow: str, path: str, query: dict[str, str], absent: frozenset[str] = _ABSENT) -> dict[str, Any] | None:
    """MLflow's answer, or None when it says with one of the codes ``absent`` that there is no such thing."""
    try:
        with _Session() as session:
            response = session.get(f"{mlflow}/api/2.0/mlflow/{path}", params=query, timeout=TIMEOUT_S)
        body = dict(response.json())
    except (requests.RequestException, ValueError, TypeError) as error:
        raise Unavailable(f"MLflow must answer at {mlflow}; got {_short(error)}; is the stack up?") from error
    if response.ok:
        return body
    if body.get("error_code") in absent:
        return None
    got = f"{response.status_code} {body.get('error_code')}: {body.get('message')}"
    raise Unavailable(f"MLflow must answer {path} at {mlflow}; got {got}; see its log")


def _short(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_S} s"
    return "no connection" if isinstance(error, requests.ConnectionError) else str(error)


def _version(raw: dict[str, Any]) -> Version:
    run_id = str(raw.get("run_id", ""))
    return Version(name=str(raw["name"]), version=str(raw["version"]), run_id=run_id, tags=_tags(raw))


def _tags(raw: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in raw.get("tags", [])}


def champion(mlflow: str, name: str) -> Version | None:
    """The version that the alias ``champion`` of model ``name`` points at, or None before there is one."""
    # A model without this alias is an invalid parameter to MLflow; a model that is not there does not exist.
    absent = _ABSENT | {"INVALID_PARAMETER_VALUE"}
    body = _get(mlflow, "registered-models/alias", {"name": name, "alias": CHAMPION}, absent)
    return _version(body["model_version"]) if body else None


def versions(mlflow: str, name: str) -> list[Version]:
    """Every version of model ``name``, oldest first."""
    query = {"filter": f"name='{name}'", "max_results": PAGE}
    raw_versions: list[dict[str, Any]] = []
    while True:
        body = _get(mlflow, "model-versions/search", query) or {}
        raw_versions += body.get("model_versions", [])
        if not body.get("next_page_token"):
            return sorted(map(_version, raw_versions), key=lambda version: int(version.version))
        query["page_token"] = body["next_page_token"]


def metrics(mlflow: str, run_id: str) -> dict[str, float]:
    """The last value of each metric of a run."""
    body = _get(mlflow, "runs/get", {"run_id": run_id}) or {}
    logged = body.get("run", {}).get("data", {}).get("metrics", [])
    return {metric["key"]: float(metric["value"]) for metric in logged}


def version(mlflow: str, name: str, number: str) -> Version | None:
    """Version ``number`` of model ``name``, or None when it has none of that number."""
    body = _get(mlflow, "model-versions/get", {"name": name, "version": number})
    return _version(body["model_version"]) if body else None


def log_metrics(mlflow: str, run_id: str, values: dict[str, float], step: int) -> None:
    """Add a value to each of these metrics of a run, which may be finished; raise Unavailable."""
    now = int(time.time() * 1000)
    metrics = [{"key": key, "value": value, "timestamp": now, "step": step} for key, value in values.items()]
    _post(mlflow, "runs/log-batch", {"run_id": run_id, "metrics": metrics}, f"{len(metrics)} metrics of run {run_id}")


def predecessors(mlflow: str, champion: Version) -> list[Version]:
    """
    The versions that were champion before ``champion`` became it, oldest first, as far as they are registered still.

    A training notes with its run what was champion then. That is followed to the first version that a person's move
    noted with the model, and from there on the ones before it in that list. So a roll-back, which moves the alias and
    notes nothing, leads further back each time.
    """
    there = {version.version: version for version in versions(mlflow, champion.name)}
    noted = noted_champions(mlflow, champion.name)
    number, run = champion.version, champion.run_id
    found: list[str] = []  # newest first
    while number not in noted and run and len(found) < CHAMPIONS_KEPT:
        body = _get(mlflow, "runs/get", {"run_id": run}) or {}
        run = _tags(body.get("run", {}).get("data", {})).get(CHAMPION_BEFORE, "")
        of_run = (one for one in (*reversed(noted), *there) if run and one in there and there[one].run_id == run)
        number = next(of_run, "")
        found.append(number)
    if number in noted:
        found += reversed(noted[: noted.index(number)])
    return [there[one] for one in reversed(found) if one in there]


def noted_champions(mlflow: str, name: str) -> list[str]:
    """The numbers of the versions that were champion until a person last named one, which is the last of them."""
    return model_tags(mlflow, name).get(CHAMPIONS, "").split()


def schedule_mark(mlflow: str, name: str) -> ScheduleMark | None:
    """Up to when the schedule of model ``name`` was acted on; None where that is not noted."""
    return ScheduleMark.from_json(model_tags(mlflow, name).get(SCHEDULE, ""))


def keep_schedule_mark(mlflow: str, name: str, mark: ScheduleMark) -> None:
    """Note up to when the schedule of model ``name`` was acted on; raises Unavailable, also without such a model."""
    set_model_tag(mlflow, name, SCHEDULE, mark.to_json())


def model_tags(mlflow: str, name: str) -> dict[str, str]:
    """The tags of model ``name``; none where there is no such model."""
    body = _get(mlflow, "registered-models/get", {"name": name}) or {}
    return _tags(body.get("registered_model", {}))


def set_model_tag(mlflow: str, name: str, key: str, value: str, mend: str = "has it a version?") -> None:
    """Set a tag of model ``name``; raises Unavailable, also when there is no such model."""
    tag = {"name": name, "key": key, "value": value}
    _post(mlflow, "registered-models/set-tag", tag, f"the tag {key} of {name}", mend)


def note_champions(mlflow: str, line: list[Version]) -> None:
    """Keep which versions were champion until a person made the last one it, oldest first; raise Unavailable."""
    newest_first = dict.fromkeys(version.version for version in reversed(line))  # each where it was champion last
    kept = reversed(list(newest_first)[:CHAMPIONS_KEPT])
    though = f"version {line[-1].version} is champion all the same, but ./baton rollback does not know what was before"
    set_model_tag(mlflow, line[-1].name, CHAMPIONS, " ".join(kept), though)


def move_champion(mlflow: str, name: str, version: str) -> None:
    """Point the alias ``champion`` of model ``name`` at a version; raises Unavailable, also when there is none."""
    body = {"name": name, "alias": CHAMPION, "version": version}
    _post(mlflow, "registered-models/alias", body, f"the alias {CHAMPION}", f"is version {version} there?")


def set_version_tag(mlflow: str, version: Version, key: str, value: str) -> None:
    """Set a tag of a version; raises Unavailable."""
    tag = {"name": version.name, "version": version.version, "key": key, "value": value}
    _post(mlflow, "model-versions/set-tag", tag, f"the tag {key} of version {version.version}")


def _post(mlflow: str, path: str, body: dict[str, Any], what: str, mend: str = "is the stack up?") -> None:
    try:
        with _Session() as session:
            session.post(f"{mlflow}/api/2.0/mlflow/{path}", json=body, timeout=TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        raise Unavailable(f"MLflow must take {what} at {mlflow}; got {_short(error)}; {mend}") from error


class NoArtifact(Unavailable):
    """A run has no such file."""


class Artifacts:
    """The files that the run of a version logged, through MLflow's artifact proxy; ``version`` is as registered."""

    def __init__(self, mlflow: str, name: str, version: str) -> None:
        """Raises Unavailable when MLflow does not answer, ModelRefused when it has no such version."""
        body = _get(mlflow, "model-versions/get", {"name": name, "version": version})
        if body is None:
            raise ModelRefused(f"version must be a registered one of {name}; got {version}; see ./baton status")
        self.version = _version(body["model_version"])
        run = _get(mlflow, "runs/get", {"run_id": self.version.run_id}) or {}
        root = str(run.get("run", {}).get("info", {}).get("artifact_uri", ""))
        scheme, _, path = root.partition(":")
        if scheme != "mlflow-artifacts":
            raise ModelRefused(f"artifacts must be served by MLflow itself (mlflow-artifacts:); got {root!r}")
        self._url = f"{mlflow}/api/2.0/mlflow-artifacts/artifacts/{path.strip('/')}"

    def read(self, path: str) -> bytes:
        """The content of one file; raises Unavailable when it cannot be had, NoArtifact when there is none."""
        try:
            with _Session() as session:
                response = session.get(f"{self._url}/{path}", timeout=TIMEOUT_S)
            if response.status_code == HTTPStatus.NOT_FOUND:
                raise NoArtifact(f"version {self.version.version} must have {path}; its run has none; train it again")
            response.raise_for_status()
        except requests.RequestException as error:
            message = f"MLflow must serve {path}; got {error}; is the stack up?"
            raise Unavailable(message) from error
        return response.content
