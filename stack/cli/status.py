"""``./baton status``: services, batches, versions and what serves, as one dictionary and as tables."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from apps.common.errors import BatonError
from apps.orchestrator.port import Release
from stack.cli.pipeline import Pipeline
from stack.cli.settings import shown
from stack.cli.stack import Stack

SHOWN_METRICS = ("test_rmse", "test_mae", "test_r2", "test_auc", "test_accuracy")


def _release(release: Release | None) -> dict[str, Any] | None:
    return (
        {"release": release.release, "version": release.version, "state": str(release.state)}
        if release is not None
        else None
    )


def _batches(pipeline: Pipeline) -> dict[str, Any]:
    store = pipeline.store
    landing = []
    for entry in store.entries("landing"):
        state = "incomplete"
        if entry.complete:
            try:
                content_hash = store.manifest("landing", entry.name).content_hash
                state = str(pipeline.orchestrator.training_state(content_hash).state)
            except BatonError as error:
                state = str(error)
        landing.append({"batch": entry.name, "training": state})
    refused = [{"batch": entry.name, "reason": pipeline.refusal(entry.name)} for entry in store.entries("refused")]
    return {"landing": landing, "used": [entry.name for entry in store.entries("used")], "refused": refused}


def _versions(pipeline: Pipeline) -> list[dict[str, Any]]:
    return [
        {
            "version": version.version,
            "batch": version.tags.get("batch"),
            "metrics": {k: v for k, v in pipeline.metrics(version).items() if k in SHOWN_METRICS},
        }
        for version in pipeline.versions()
    ]


def _champion(pipeline: Pipeline) -> str | None:
    champion = pipeline.champion()
    return champion.version if champion else None


def snapshot(session: Stack) -> dict[str, Any]:
    """Everything that is known now; ``problems`` names what could not be asked."""
    found: dict[str, Any] = {
        "state": str(session.state),
        "services": [asdict(status) for status in session.runtime.status()],
        "problems": [],
    }
    if not session.running():
        found["problems"].append("the stack is down; ./baton up starts it")
        return found
    pipeline = session.pipeline()
    served = pipeline.served()
    found |= {
        "dataset": pipeline.dataset,
        "set": {name: value for name, value in shown(session.settings).items() if name != "dataset"},
        "serving": _release(served.serving),
        "wanted": _release(served.wanted),
    }
    asked: dict[str, Callable[[], Any]] = {
        "champion": lambda: _champion(pipeline),
        "versions": lambda: _versions(pipeline),
        "batches": lambda: _batches(pipeline),
    }
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except BatonError as error:
            found["problems"].append(f"{name}: {error}")
    return found


def _facts(found: Mapping[str, Any]) -> list[str]:
    """What serves, which version should, and what ``up`` was told."""
    if "serving" not in found:
        return []
    serving, wanted = found["serving"], found["wanted"]
    line = (
        f"serving: version {serving['version']} (release {serving['release']})" if serving else "serving: nothing yet"
    )
    if wanted and wanted != serving:
        line += f"; release {wanted['release']} of version {wanted['version']} is {wanted['state']}"
    lines = [f"\n{line}; champion: {found.get('champion') or 'none yet'}"]
    if found["set"]:
        lines.append(escape("set: " + ", ".join(f"{name}={value}" for name, value in found["set"].items())))
    return lines


def table(found: dict[str, Any]) -> list[Table | str]:
    """The snapshot as tables for a terminal."""
    services = Table("service", "state", "process or pod", "restarts", box=None, title="Services", title_justify="left")
    for service in found["services"]:
        restarts = str(service["restarts"] or "")
        services.add_row(service["service"], service["state"], " ".join(service["instances"]), restarts)
    parts: list[Table | str] = [services]
    parts += _facts(found)
    if found.get("versions"):
        versions = Table("version", "batch", "test metrics", box=None, title="\nVersions", title_justify="left")
        for version in found["versions"]:
            shown = "  ".join(f"{key} {value:,.4g}" for key, value in sorted(version["metrics"].items()))
            versions.add_row(version["version"], version["batch"], shown)
        parts.append(versions)
    if any(found.get("batches", {}).values()):
        batches = Table("batch", "where", "", box=None, title="\nBatches", title_justify="left")
        for batch in found["batches"]["used"]:
            batches.add_row(batch, "used", "")
        for batch in found["batches"]["landing"]:
            batches.add_row(batch["batch"], "landing", f"training: {batch['training']}")
        for batch in found["batches"]["refused"]:
            batches.add_row(batch["batch"], "refused", batch["reason"])
        parts.append(batches)
    parts += [f"! {problem}" for problem in found["problems"]]
    return parts
