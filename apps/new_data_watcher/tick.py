"""
What one tick decides, as a function of what it sees.

It sees only what HDFS and the orchestrator say, remembers nothing, and asks for at most one training: so a tick that
is killed anywhere, and run again, comes to the same end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apps.common.batches import Entry, repeat_problems
from apps.common.manifest import MANIFEST, PLAIN_NAME, Manifest
from apps.orchestrator.port import TrainingState, TrainingStatus

MAX_ATTEMPTS = 3
_ABSENT = TrainingStatus(TrainingState.ABSENT)


@dataclass(frozen=True)
class LandedBatch:
    """A batch in landing/; ``manifest`` is None when it is not there or unreadable, and then ``problem`` says so."""

    entry: Entry
    manifest: Manifest | None
    problem: str = ""


@dataclass(frozen=True)
class LandingView:
    """
    What a tick sees.

    ``now``, ``hdfs_now`` and ``grace`` are in seconds: this machine's clock, and the NameNode's, by which a listing
    tells how old a batch is. ``used`` gives the name of each used batch by its content hash, ``trainings``
    the status of each training by the content hash of its batch.
    """

    dataset: str
    schema_hash: str
    now: float
    hdfs_now: float
    grace: float
    landed: Sequence[LandedBatch]
    used: Mapping[str, str]
    trainings: Mapping[str, TrainingStatus]

    def training(self, content_hash: str, batch: str) -> TrainingStatus:
        """The training of this batch; one of another batch with the same content is none of its own."""
        status = self.trainings.get(content_hash, _ABSENT)
        return status if status.batch == batch else _ABSENT


@dataclass(frozen=True)
class StartTraining:
    """Ask for a training."""

    batch: str
    content_hash: str


@dataclass(frozen=True)
class RefuseBatch:
    """Move a batch to refused/."""

    batch: str
    reason: str


@dataclass(frozen=True)
class LeaveBatch:
    """Leave a batch alone; worth a line in the log."""

    batch: str
    reason: str


BatchAction = StartTraining | RefuseBatch | LeaveBatch


def decide(view: LandingView, differences: Callable[[str, Manifest], list[str]]) -> list[BatchAction]:
    """
    What to do now, in order.

    ``differences`` compares a batch's bytes with its manifest; it is asked only for a batch that could be trained on
    at once, because it reads every byte.
    """
    actions = _unfinished(view)
    promised: set[str] = set()  # content that an earlier batch in landing/ says it brings
    for landed in view.landed:
        free = not _under_way(view) and not any(isinstance(action, StartTraining) for action in actions)
        if landed.manifest is None:
            actions.append(_incomplete(view, landed, landed.problem))
        elif problems := _problems(view, landed.entry.name, landed.manifest):
            actions.append(RefuseBatch(landed.entry.name, "; ".join(problems)))
        elif landed.manifest.content_hash not in promised:  # a repeat waits: the earlier one may yet be refused
            promised.add(landed.manifest.content_hash)
            actions += _next(view, landed, landed.manifest, differences) if free else []
    return actions


def _under_way(view: LandingView) -> bool:
    return any(status.state.under_way for status in view.trainings.values())


def _unfinished(view: LandingView) -> list[BatchAction]:
    """Trainings that were killed after the move to used/: the alias may not be set yet."""
    failed = {
        name: (content_hash, status)
        for content_hash, name in view.used.items()
        if (status := view.training(content_hash, name)).state is TrainingState.FAILED
    }
    again = [
        StartTraining(name, content) for name, (content, status) in failed.items() if status.attempts < MAX_ATTEMPTS
    ]
    given_up: list[BatchAction] = [
        LeaveBatch(name, f"its training failed {status.attempts} times after the batch was used; see the trainer's log")
        for name, (_, status) in failed.items()
        if status.attempts >= MAX_ATTEMPTS
    ]
    return given_up if _under_way(view) else [*given_up, *again[:1]]


def _incomplete(view: LandingView, landed: LandedBatch, problem: str) -> BatchAction:
    age = view.hdfs_now - landed.entry.changed
    if age < view.grace:
        return LeaveBatch(landed.entry.name, f"{problem}; it may still be being written")
    return RefuseBatch(landed.entry.name, f"{problem}; nothing changed for {age:.0f} s; drop it again under a new name")


def _problems(view: LandingView, name: str, manifest: Manifest) -> list[str]:
    problems = manifest.problems(view.dataset)
    if not PLAIN_NAME.fullmatch(name):
        problems.append(f"a batch's name must have letters, digits, dot, underscore and dash only; got {name}")
    if manifest.schema_hash != view.schema_hash:
        problems.append(
            f"{MANIFEST}: schema_hash must be {view.schema_hash}, the hash of the columns of {view.dataset}; "
            f"got {manifest.schema_hash}; drop files with these columns in this order"
        )
    twin = view.used.get(manifest.content_hash)
    return problems + repeat_problems(name, is_used=name in view.used.values(), twin=twin)


def _next(
    view: LandingView, landed: LandedBatch, manifest: Manifest, differences: Callable[[str, Manifest], list[str]]
) -> list[BatchAction]:
    """What to do with the oldest good batch while no training is under way."""
    name = landed.entry.name
    status = view.training(manifest.content_hash, name)
    if status.attempts >= MAX_ATTEMPTS:
        ended = "failed" if status.state is TrainingState.FAILED else "left the batch in landing"
        return [RefuseBatch(name, f"training {ended} {status.attempts} times; see the log of the trainer")]
    if problems := differences(name, manifest):
        return [_incomplete(view, landed, "; ".join(problems))]
    return [StartTraining(name, manifest.content_hash)]
