"""
What one tick decides, as a function of what it sees.

It sees only what HDFS and the orchestrator say, remembers nothing, and asks for at most one training: so a tick that
is killed anywhere, and run again, comes to the same end.

A batch whose training failed keeps its place: the later ones wait with it until it is tried again, used or refused.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apps.common.batches import Entry, repeat_problems
from apps.common.exit_codes import Outcome
from apps.common.manifest import MANIFEST, PLAIN_NAME, Manifest
from apps.common.schedule import Schedule, ScheduleMark
from apps.orchestrator.port import ABSENT, Failure, TrainingState, TrainingStatus

MAX_LEFT_BEHIND = 3  # trainings that say they are done and leave their batch in landing


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
    the status of each training by the content hash of its batch. ``schedule`` is None where there is none, ``mark`` up
    to when one was acted on.
    """

    dataset: str
    schema_hash: str
    now: float
    hdfs_now: float
    grace: float
    landed: Sequence[LandedBatch]
    used: Mapping[str, str]
    trainings: Mapping[str, TrainingStatus]
    schedule: Schedule | None = None
    mark: ScheduleMark | None = None

    @property
    def under_way(self) -> bool:
        """Whether any training is."""
        return any(status.state.under_way for status in self.trainings.values())

    def training(self, content_hash: str, batch: str) -> TrainingStatus:
        """The training of this batch; one of another batch with the same content is none of its own."""
        status = self.trainings.get(content_hash, ABSENT)
        return status if status.batch == batch else ABSENT


@dataclass(frozen=True)
class StartTraining:
    """Ask for a training."""

    batch: str
    content_hash: str


@dataclass(frozen=True)
class RefuseBatch:
    """Move a batch to refused/; ``for_crashes`` tells one that nobody found at fault, but whose trainings crash."""

    batch: str
    reason: str
    for_crashes: bool = False


@dataclass(frozen=True)
class LeaveBatch:
    """Leave a batch alone; worth a line in the log."""

    batch: str
    reason: str


@dataclass(frozen=True)
class RetryLater:
    """Leave a batch alone until its training may be tried again, and all later ones with it."""

    batch: str
    reason: str


BatchAction = StartTraining | RefuseBatch | LeaveBatch | RetryLater


def decide(view: LandingView, differences: Callable[[str, Manifest], list[str]]) -> list[BatchAction]:
    """
    What to do now, in order.

    ``differences`` compares a batch's bytes with its manifest; it is asked only for a batch that could be trained on
    at once, because it reads every byte.
    """
    actions = _unfinished(view)
    promised: set[str] = set()  # content that an earlier batch in landing/ says it brings
    for landed in view.landed:
        free = not view.under_way and not any(isinstance(action, StartTraining | RetryLater) for action in actions)
        if landed.manifest is None:
            actions.append(_incomplete(view, landed, landed.problem))
        elif problems := _problems(view, landed.entry.name, landed.manifest):
            actions.append(RefuseBatch(landed.entry.name, "; ".join(problems)))
        elif landed.manifest.content_hash not in promised:  # a repeat waits: the earlier one may yet be refused
            promised.add(landed.manifest.content_hash)
            actions += _next(view, landed, landed.manifest, differences) if free else []
    return actions


def _unfinished(view: LandingView) -> list[BatchAction]:
    """Trainings that were killed after the move to used/: the alias may not be set yet."""
    actions: list[BatchAction] = []
    for content_hash, name in view.used.items():
        status = view.training(content_hash, name)
        if status.state is not TrainingState.FAILED or status.failure is None:
            continue
        if status.failure.is_final:
            actions.append(LeaveBatch(name, f"it was used, and its training {ended(status.failure)}"))
        elif not view.under_way and not any(isinstance(action, StartTraining | RetryLater) for action in actions):
            actions.append(try_again(view, name, content_hash, status.failure))
    return actions


def try_again(view: LandingView, name: str, content_hash: str, failure: Failure) -> StartTraining | RetryLater:
    """Try a training that failed once more, when its time has come."""
    if not failure.is_due(view.now):
        wait = failure.retry_at - failure.at
        return RetryLater(name, f"its training {ended(failure)}; tried again {wait:.0f} s after that")
    return StartTraining(name, content_hash)


def ended(failure: Failure) -> str:
    """How a training failed, for a reason."""
    why = f": {failure.reason}" if failure.reason else ""
    match failure.outcome:
        case Outcome.REFUSED:
            return f"refused it{why}"
        case Outcome.COULD_NOT:
            return f"could not be done{why}"
        case Outcome.CRASHED:
            times = f" {failure.crashes} times" if failure.crashes > 1 else ""
            return f"crashed{times}{why}"


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
    name, content_hash = landed.entry.name, manifest.content_hash
    status = view.training(content_hash, name)
    failure = status.failure if status.state is TrainingState.FAILED else None
    if failure and failure.is_final:
        reason = f"its training {ended(failure)}; see the log of the trainer; drop it under another name to try again"
        return [RefuseBatch(name, reason, for_crashes=failure.outcome is Outcome.CRASHED)]
    if status.state is TrainingState.SUCCEEDED and status.attempts >= MAX_LEFT_BEHIND:
        return [RefuseBatch(name, f"training left the batch in landing {status.attempts} times; see the trainer's log")]
    again = try_again(view, name, content_hash, failure) if failure else StartTraining(name, content_hash)
    if isinstance(again, StartTraining) and (problems := differences(name, manifest)):
        return [_incomplete(view, landed, "; ".join(problems))]
    return [again]
