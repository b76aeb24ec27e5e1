"""The verbs of the running loop, for the CLI and the tests: drop a batch, wait for its version and until it serves."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from apps.common import registry
from apps.common.batches import Batch, BatchStore
from apps.common.errors import BatonError
from apps.common.messages import Expected
from apps.common.names import StackNames
from apps.common.registry import Version
from apps.common.waiting import wait_until
from apps.orchestrator.port import ABSENT, ReleaseState, Served, TrainingStatus
from loadtest.traffic import read_expected
from stack.cli import champion
from stack.cli.champion import Move
from stack.runtime import RunningStack

TRAINING_S = 600
ROLL_OUT_S = 240


class Hopeless(BatonError):
    """What is waited for cannot come true."""


class Withheld(BatonError):
    """A version was registered, and its training did not make it champion."""


class Pipeline:
    """The loop on one running stack, in either mode."""

    def __init__(self, stack: RunningStack) -> None:
        """Nothing is asked yet."""
        self.environment = dict(stack.environment)
        self.orchestrator = stack.orchestrator
        self.apps = stack.apps
        self.files = stack.apps.files()

    @property
    def dataset(self) -> str:
        """The dataset this stack works on."""
        return self.environment["BATON_DATASET"]

    @property
    def names(self) -> StackNames:
        """What this stack calls what it has on its platform."""
        return StackNames(self.environment["BATON_STACK"], self.dataset)

    @property
    def store(self) -> BatchStore:
        """The batches in HDFS."""
        return BatchStore(self.environment["BATON_HDFS"], self.names, self.files)

    def drop_batch(self, file: Path | None = None, **settings: str) -> Batch:
        """Put the next slice, or ``file``, into ``landing/``."""
        own = {"BATON_FILE": self.apps.bring(file)} if file else {}
        printed = self.apps.run("batch_dropper", {"BATON_JOB": "drop", **own, **settings})
        return Batch.from_json(printed.strip().splitlines()[-1])

    def served(self) -> Served:
        """What serves now and what was last asked for."""
        return self.orchestrator.served()

    def served_version(self) -> str | None:
        """The version that answers now."""
        serving = self.served().serving
        return serving.version if serving else None

    def require_served(self) -> None:
        """Raise BatonError when no version answers yet."""
        if self.served_version() is None:
            raise BatonError("a version must serve; there is none yet; run ./baton drop --wait first")

    def versions(self) -> list[Version]:
        """Every registered version, oldest first."""
        return registry.versions(self.environment["BATON_MLFLOW"], self.names.model)

    def champion(self) -> Version | None:
        """The version that should serve."""
        return registry.champion(self.environment["BATON_MLFLOW"], self.names.model)

    def promote(self, number: str) -> Move:
        """Make a registered version champion, whatever the gate said of it."""
        return champion.promote(self.environment["BATON_MLFLOW"], self.names.model, number)

    def move_champion(self, version: str) -> None:
        """Point the alias that serves at a version, and leave no word of it; raise Unavailable when there is none."""
        registry.move_champion(self.environment["BATON_MLFLOW"], self.names.model, version)

    def roll_back(self) -> Move:
        """Make the version champion that was it before the present one."""
        return champion.roll_back(self.environment["BATON_MLFLOW"], self.names.model)

    def metrics(self, version: Version) -> dict[str, float]:
        """The metrics of a version's run."""
        return registry.metrics(self.environment["BATON_MLFLOW"], version.run_id)

    def refusal(self, batch: str) -> str | None:
        """Why a batch was refused, or None."""
        return self.store.reason(batch)

    def training(self, content_hash: str) -> TrainingStatus:
        """Where the training on this content stands."""
        return self.orchestrator.trainings().get(content_hash, ABSENT)

    def wait_for_version_trained_on(
        self, batch: Batch, deadline: float = TRAINING_S, progress: Callable[[str], None] = lambda _: None
    ) -> str:
        """
        Wait until the batch's version is the champion and the batch is used; return the version.

        Raises Withheld when the version is registered and was not made champion, BatonError when the batch was refused.
        """

        def trained() -> str | None:
            if reason := self.refusal(batch.name):
                raise BatonError(f"batch {batch.name} was refused: {reason}")
            progress(str(self.training(batch.content_hash).state))
            now = self.champion()
            used = self.store.exists(self.store.folder("used", batch.name))
            if now and used and now.tags.get("content_hash") == batch.content_hash:
                return now.version
            own = (one for one in self.versions() if one.tags.get("content_hash") == batch.content_hash)
            for version in own:
                if version.withheld:
                    raise Withheld(f"version {version.version} must become champion; got: {version.withheld}")
            return None

        def describe() -> str:
            status = self.training(batch.content_hash)
            why = f" ({status.failure.outcome}: {status.failure.reason})" if status.failure else ""
            tried = f"after {status.attempts} attempts; see ./baton logs trainer"
            return f"the training of {batch.name} is {status.state}{why} {tried}"

        return wait_until(trained, deadline, describe, every=0.5)

    def unserved(self, version: str) -> str:
        """
        What is still missing until ``version`` answers and no other release is about to; empty when nothing is.

        Raises Hopeless when its release was given up, and another version answers or none.
        """
        served = self.served()
        serving, wanted = served.serving, served.wanted
        failed = wanted is not None and wanted.state is ReleaseState.FAILED
        if serving and serving.version == version and (failed or wanted == serving):
            return ""
        if wanted and wanted.version == version and wanted.failure and wanted.failure.is_final:
            reason = f"release {wanted.release} of it was given up: {wanted.failure.reason or wanted.failure.outcome}"
            raise Hopeless(f"version {version} must serve; {reason}; see the log of prediction-server")
        under_way = f", and version {wanted.version} is {wanted.state}" if wanted and wanted != serving else ""
        return f"version {version} must serve; got {serving.version if serving else 'none'}{under_way}"

    def wait_until_served(self, version: str, deadline: float = ROLL_OUT_S) -> None:
        """Wait until ``version`` answers and no other is about to; raise Hopeless when its release was given up."""
        wait_until(
            lambda: not self.unserved(version),
            deadline,
            lambda: f"{self.unserved(version)}; see the log of prediction-server",
        )

    def expected(self, versions: list[str]) -> list[Expected]:
        """What each version predicts for every request in the topic, computed afresh by a batch job."""
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "expected.jsonl"
            settings = {"BATON_VERSIONS": ",".join(versions), "BATON_OUT": str(out), "BATON_SCRATCH": folder}
            self.apps.run("prediction_server.rescore", settings)
            return read_expected(out)
