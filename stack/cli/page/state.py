"""
What the page tells of batches, trainings, versions and releases: what ``./baton status`` knows, in a bounded size.

Pure but for ``look``, which asks. What changes from one look to the next is what happened meanwhile.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from apps import datasets
from apps.orchestrator.port import TrainingState
from stack.cli import retries, status
from stack.cli.deadline import ask_all
from stack.cli.stack import Stack

SHOWN = 30  # of each list, the newest; how many there are stands beside it
LONGEST = 300  # characters of a reason
LOG_LINES = 60
PLACES = ("landing", "used", "refused")
NOTHING: dict[str, Any] = {
    **{name: [] for name in (*PLACES, "versions", "services", "problems")},
    **{f"{name}_n": 0 for name in (*PLACES, "versions")},
    **dict.fromkeys(("serving", "wanted", "champion", "training")),
    **dict.fromkeys(("mode", "dataset", "target"), ""),
}  # before the first look
STEP = re.compile(r"\[info\s*\] (?P<step>\S.*?) {2,}.*\bseconds=(?P<seconds>[\d.]+)")


def look(stack: Stack) -> dict[str, Any]:
    """What is known now; the step of a training is asked for while one is under way."""
    known = status.snapshot(stack)
    known["target"] = datasets.get(known["dataset"]).target if "dataset" in known else ""
    if trained := _in_training(known):
        told, _ = ask_all({"step": lambda: last_step(_log(stack), trained)}, status.ANSWER_S)
        known["training"] = {"batch": trained, "step": told.get("step", "")}
    return view(known)


def _log(stack: Stack) -> list[str]:
    return [line for _, line in stack.runtime.logs("trainer", LOG_LINES, follow=False)]


def _in_training(known: Mapping[str, Any]) -> str:
    batches = known.get("batches", {})
    waiting = (*batches.get("landing", ()), *batches.get("unfinished", ()))
    return next((one["batch"] for one in waiting if one["training"] == TrainingState.RUNNING), "")


def last_step(lines: Iterable[str], batch: str) -> str:
    """The newest step that a trainer's log calls done for a batch, with its seconds; empty when there is none."""
    found = [match for line in lines if f"batch={batch} " in line and (match := STEP.search(line))]
    return f"{found[-1]['step']} ({float(found[-1]['seconds']):.1f} s)" if found else ""


def view(known: Mapping[str, Any]) -> dict[str, Any]:
    """What of a snapshot the page shows; what nobody could tell is left out."""
    told: dict[str, Any] = {"mode": known["mode"], "problems": [_cut(problem) for problem in known["problems"]]}
    if known["services"]:
        told["services"] = [{name: one[name] for name in ("service", "state", "restarts")} for one in known["services"]]
    told |= {name: known[name] for name in ("dataset", "target", "champion") if name in known}
    told |= {name: _release(known[name]) for name in ("serving", "wanted") if name in known}
    if "batches" in known:
        told |= _batches(known["batches"]) | {"training": known.get("training")}
    if "versions" in known:
        told |= {"versions": _versions(known["versions"], known.get("champion")), "versions_n": len(known["versions"])}
    return told


def _batches(batches: Mapping[str, Any]) -> dict[str, Any]:
    landing = [
        {"batch": one["batch"], "training": _cut(one["training"] + retries.words(one))}
        for one in _newest(batches["landing"])
    ]
    refused = [{"batch": one["batch"], "reason": _cut(one["reason"] or "")} for one in _newest(batches["refused"])]
    counts = {f"{place}_n": len(batches[place]) for place in PLACES}
    return {"landing": landing, "used": _newest(batches["used"]), "refused": refused, **counts}


def _versions(versions: Sequence[Mapping[str, Any]], champion: str | None) -> list[dict[str, Any]]:
    return [
        {
            "version": one["version"],
            "batch": one["batch"] or "",
            "withheld": "" if one["version"] == champion else _cut(one["withheld"]),
            "alarm": _cut(one["alarm"]),
            "metrics": one["metrics"],
        }
        for one in _newest(versions)
    ]


def _release(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if told is None:
        return None
    state = _cut(told["state"] + retries.words(told))
    return {"release": told["release"], "version": told["version"], "state": state}


def _newest(rows: Sequence[Any]) -> list[Any]:
    """The last ones, newest first."""
    return list(reversed(rows[-SHOWN:]))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def happened(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, str]]:
    """What happened between two looks, each with its kind, in the order of the flow; of hand-overs answers tell."""
    told: list[tuple[str, str]] = []
    there = {one["batch"] for one in before["landing"]} | set(before["used"])
    told += [("batch", f"batch {one['batch']} landed") for one in now["landing"] if one["batch"] not in there]
    began, was = now["training"] or {}, before["training"] or {}
    if began and began["batch"] != was.get("batch"):
        told.append(("training", f"a training on {began['batch']} runs"))
    refused = {one["batch"] for one in before["refused"]}
    told += [
        ("refusal", f"batch {one['batch']} was refused: {one['reason']}")
        for one in now["refused"]
        if one["batch"] not in refused
    ]
    told += [("batch", f"batch {name} is used") for name in now["used"] if name not in before["used"]]
    numbers = {one["version"] for one in before["versions"]}
    for one in now["versions"]:
        if one["version"] not in numbers:
            withheld = f", and withheld: {one['withheld']}" if one["withheld"] else ""
            told.append(("version", f"version {one['version']} is registered{withheld}"))
    if now["champion"] and now["champion"] != before["champion"]:
        told.append(("version", f"version {now['champion']} is champion"))
    alarms = {one["version"]: one["alarm"] for one in before["versions"]}
    told += [
        ("version", f"version {one['version']}: {one['alarm']}")
        for one in now["versions"]
        if one["alarm"] != alarms.get(one["version"], one["alarm"])
    ]
    wanted, last = now["wanted"], before["wanted"]
    if wanted and wanted["release"] != (last or {}).get("release"):
        told.append(("release", f"release {wanted['release']} of version {wanted['version']} is rolled out"))
    return [{"kind": kind, "text": text} for kind, text in told]
