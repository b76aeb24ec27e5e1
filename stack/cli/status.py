"""
``./baton status``: services, batches, versions and what serves, as one dictionary and as tables.

It works on a stack that is half dead: each question has a deadline, and each problem names the command that mends it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from apps.common.batches import BatchStore, Entry
from apps.common.errors import BatonError
from apps.common.kafka_access import KafkaAccess
from apps.common.schedule import instant_of
from apps.common.settings import kafka_access
from apps.common.topics import connected
from apps.orchestrator.port import ABSENT, Release, TrainingState, TrainingStatus
from stack.cli import addresses, retries, schedule
from stack.cli.deadline import ask_all
from stack.cli.pipeline import Pipeline
from stack.cli.settings import shown
from stack.cli.stack import Mode, Stack
from stack.embedded.supervisor.state import NAME as SUPERVISOR
from stack.runtime import GONE, ServiceStatus, late
from stack.services import KAFKA

TEST_METRICS = ("test_rmse", "test_mae", "test_r2", "test_auc", "test_accuracy")
LIVE_METRICS = (
    "live_rmse",
    "live_log_loss",
    "live_accuracy",
    "live_labelled",
    "live_drift_large",
)  # of the newest hour
ANSWER_S = 5
NOT_UP = 3  # the exit code for a stack that is not, or not wholly, up: systemctl's


def _release(release: Release | None) -> dict[str, Any] | None:
    if release is None:
        return None
    told = {"release": release.release, **asdict(release.target), "state": str(release.state)}
    return told | retries.as_json(release.failure)


def _batches(pipeline: Pipeline) -> dict[str, Any]:
    """
    The batches by place; ``unfinished`` are used ones whose training has not done its last steps.

    So is the newest instant of a schedule, though it has no batch.
    """
    store, trainings = pipeline.store, pipeline.orchestrator.trainings()
    used = store.names("used")
    instants = {key: one for key, status in trainings.items() if (one := instant_of(status.batch, key))}
    newest = max(instants, key=instants.__getitem__, default="")
    left = {key: status for key, status in trainings.items() if status.state is not TrainingState.SUCCEEDED}
    return {
        "landing": [_landed(store, entry, trainings) for entry in store.entries("landing")],
        "used": used,
        "unfinished": [
            _training(status.batch, status) for key, status in left.items() if status.batch in used or key == newest
        ],
        "refused": [{"batch": name, "reason": pipeline.refusal(name)} for name in store.names("refused")],
    }


def _landed(store: BatchStore, entry: Entry, trainings: Mapping[str, TrainingStatus]) -> dict[str, Any]:
    if not entry.complete:
        return {"batch": entry.name, "training": "incomplete"}
    try:
        content_hash = store.manifest("landing", entry.name).content_hash
    except FileNotFoundError:  # it was moved since it was listed
        return {"batch": entry.name, "training": "ended"}
    except BatonError as error:
        return {"batch": entry.name, "training": str(error)}
    return _training(entry.name, trainings.get(content_hash, ABSENT))


def _training(batch: str, status: TrainingStatus) -> dict[str, Any]:
    told = {"batch": batch, "training": str(status.state), "attempts": status.attempts}
    return told | retries.as_json(status.failure)


def _versions(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [
        {
            "version": version.version,
            "batch": version.tags.get("batch"),
            "withheld": version.withheld,
            "alarm": version.alarm,
            "metrics": {k: v for k, v in pipeline.metrics(version).items() if k in (*TEST_METRICS, *LIVE_METRICS)},
        }
        for version in pipeline.versions()
    ]


def _champion(pipeline: Pipeline) -> str | None:
    champion = pipeline.champion()
    return champion.version if champion else None


def _topics(access: KafkaAccess) -> int:
    """The number of topics, as the sign that the broker answers."""
    with connected(access) as admin:
        return len(admin.list_topics())


# Which service answers which question.
ASKED_OF = {"champion": "mlflow", "versions": "mlflow", "schedule": "mlflow", "batches": "namenode", "topics": "kafka"}


def snapshot(stack: Stack) -> dict[str, Any]:
    """Everything that is known now; ``problems`` says what is not well, and what mends it."""
    answers, failures = ask_all(
        {"services": stack.runtime.status, "running": stack.runtime.running, "data": stack.runtime.has_data}, ANSWER_S
    )
    services: list[ServiceStatus] = answers.get("services", [])
    known: dict[str, Any] = {
        "mode": str(stack.mode),
        "state": str(stack.state),
        "set": {name: value for name, value in shown(stack.settings).items() if name != "dataset"},
        "services": [asdict(status) for status in services],
        "problems": [],
    }
    if not answers.get("running"):
        known["problems"].append(_why_down(stack, services, failures))
        return known
    known |= addresses.as_json(stack)
    known["problems"] += problems_of(services, stack.mode)
    known["problems"] += [f"{name}: {text}" for name, text in failures.items()]
    _ask_services(stack, known, {status.service for status in services if status.is_up})
    return known


def _ask_services(stack: Stack, known: dict[str, Any], up: set[str]) -> None:
    """Add what the services answer to ``known``; only those that are ``up`` are named when they do not."""
    answers, failures = ask_all({"pipeline": stack.pipeline}, ANSWER_S)
    if failures:
        known["problems"].append(f"the stack must answer; {failures['pipeline']}; ./baton doctor{stack.mode.option}")
        return
    pipeline: Pipeline = answers["pipeline"]
    questions: dict[str, Callable[[], Any]] = {
        "served": pipeline.served,
        "champion": lambda: _champion(pipeline),
        "versions": lambda: _versions(pipeline),
        "batches": lambda: _batches(pipeline),
        "topics": lambda: _topics(kafka_access(pipeline.environment)),
    }
    if plan := schedule.set_for(pipeline):
        questions["schedule"] = lambda: schedule.as_json(pipeline, plan)
    answers, failures = ask_all(questions, ANSWER_S)
    known["dataset"] = pipeline.dataset
    if served := answers.pop("served", None):
        known |= {"serving": _release(served.serving), "wanted": _release(served.wanted)}
    known |= answers
    foreign = {"kafka"} if KAFKA in stack.settings else set[str]()
    for service in sorted({ASKED_OF[name] for name in failures if name in ASKED_OF} & (up | foreign)):
        reasons = {text for name, text in failures.items() if ASKED_OF.get(name) == service}
        state, mend = "runs and", f"./baton logs {service}; if it stays so: ./baton down, then ./baton up"
        if service in foreign:
            state, mend = "is not the stack's own and", "./baton doctor says why"
        known["problems"].append(f"{service} {state} does not answer: {'; '.join(sorted(reasons))}; {mend}")
    known["problems"] += champion_problems(known, stack.mode)
    if "served" in failures:
        known["problems"].append(f"what serves is not known: {failures['served']}")


def champion_problems(known: Mapping[str, Any], mode: Mode) -> list[str]:
    """That nothing is to serve by the registry while a version does: its restarts rest on the files kept in HDFS."""
    serving = known.get("serving")
    if serving is None or known.get("champion", "") is not None:
        return []
    numbers = {version["version"] for version in known.get("versions", [serving])}
    gone = "" if serving["version"] in numbers else ", and MLflow has that version no more"
    got = f"none, while version {serving['version']} serves{gone}"
    mend = f"point it at one: ./baton open mlflow{mode.option}; or train the next one: ./baton drop{mode.option}"
    return [f"a version must have the alias champion; got {got}; {mend}"]


def _why_down(stack: Stack, services: Sequence[ServiceStatus], failures: dict[str, str]) -> str:
    """Why nothing runs, and what starts it."""
    up = f"./baton up{stack.mode.option}"
    if failures:
        return f"whether the stack is up is not known: {'; '.join(failures.values())}; then {up}"
    if any(status.error == GONE for status in services):
        return f"the stack is down, though nobody ran ./baton down: was this machine restarted? {up} starts it again"
    return f"the stack is down; {up} starts it"


def problems_of(services: Sequence[ServiceStatus], mode: Mode) -> list[str]:
    """What is not well with services of which at least one runs, each with the command that mends it."""
    supervisor = next((status for status in services if status.service == SUPERVISOR), None)
    if supervisor is not None and not supervisor.instances:
        left = sum(1 for status in services if status.instances)
        return [f"the supervisor is gone, and what crashes stays down ({left} services run on); mend it: ./baton up"]
    return [
        f"{status.service} is {status.state}{f': {status.error}' if status.error else ''}; "
        f"it is started again by itself: ./baton wait ready, ./baton logs {status.service}{mode.option}"
        for status in late(services)
    ]


def tables(known: dict[str, Any]) -> list[Table | str]:
    """The snapshot as tables for a terminal."""
    parts: list[Table | str] = []
    if "addresses" in known or any(service["error"] == GONE for service in known["services"]):
        parts.append(_services_table(known["services"]))
    if "serving" in known:
        parts.append(_serving_line(known))
    if known["set"]:
        parts.append("set: " + ", ".join(f"{name}={value}" for name, value in known["set"].items()))
    if "schedule" in known:
        parts.append(schedule.words(known["schedule"]))
    if known.get("versions"):
        versions = Table("version", "batch", "metrics", box=None, title="\nVersions", title_justify="left")
        for version in known["versions"]:
            metrics = "  ".join(f"{key} {value:,.4g}" for key, value in sorted(version["metrics"].items()))
            if version["withheld"] and version["version"] != known.get("champion"):
                metrics += f"  not made champion: {version['withheld']}"
            if version["alarm"]:
                metrics += f"  {version['alarm']}"
            versions.add_row(version["version"], version["batch"], metrics)
        parts.append(versions)
    if any(known.get("batches", {}).values()):
        parts.append(_batches_table(known["batches"]))
    return parts


def _services_table(services: Sequence[dict[str, Any]]) -> Table:
    table = Table("service", "state", "process or pod", "restarts", box=None, title="Services", title_justify="left")
    for service in services:
        table.add_row(
            service["service"], service["state"], " ".join(service["instances"]), str(service["restarts"] or "")
        )
    return table


def _serving_line(known: dict[str, Any]) -> str:
    serving, wanted = known["serving"], known["wanted"]
    champion = (known["champion"] or "none yet") if "champion" in known else "not known"
    line = (
        f"serving: version {serving['version']} (release {serving['release']})" if serving else "serving: nothing yet"
    )
    if wanted and wanted != serving:
        state = f"{wanted['state']}{retries.words(wanted)}"
        line += f"; release {wanted['release']} of version {wanted['version']} is {state}"
    return f"\n{line}; champion: {champion}"


def _batches_table(batches: dict[str, Any]) -> Table:
    table = Table("batch", "where", "", box=None, title="\nBatches", title_justify="left")
    unfinished = {batch["batch"]: _training_words(batch) for batch in batches["unfinished"]}
    for name in batches["used"]:
        table.add_row(name, "used", unfinished.pop(name, ""))
    for name, training in unfinished.items():
        table.add_row(name, "schedule", training)
    for batch in batches["landing"]:
        table.add_row(batch["batch"], "landing", _training_words(batch))
    for batch in batches["refused"]:
        table.add_row(batch["batch"], "refused", batch["reason"])
    return table


def _training_words(batch: Mapping[str, Any]) -> str:
    return f"training: {batch['training']}{retries.words(batch)}"
