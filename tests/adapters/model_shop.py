"""One model in a real MLflow, with what its trainings and a person do to it."""

import uuid
from contextlib import suppress

from apps.common import registry
from apps.common.batches import Batch
from apps.common.errors import BatonError
from apps.common.names import StackNames
from apps.trainer.mlflow_run import MlflowRun
from stack.cli import champion

FAR = 9  # more roll-backs than any test has versions


class Shop:
    """One model, and what its trainings and a person do."""

    def __init__(self, mlflow):
        """Nothing is registered yet."""
        self.mlflow = mlflow
        self.names = StackNames("baton", f"model_{uuid.uuid4().hex[:8]}")

    def train(self, objection="", meanwhile=lambda: None):
        """Register a version and let it become champion, unless the gate has an objection; its number."""
        run = MlflowRun(self.mlflow, self.names, Batch("b", 1, uuid.uuid4().hex))
        run_id = run.begin()
        meanwhile()
        version = run.register(run_id, "a" * 64)
        run.promote(version, lambda _: objection)
        return version.version

    def promote(self, number):
        """Its words."""
        return champion.promote(self.mlflow, self.names.model, number)

    def roll_back(self):
        """Its words."""
        return champion.roll_back(self.mlflow, self.names.model)

    def roll_backs(self):
        """The champions that roll-backs lead to, until there is none further back."""
        found = []
        with suppress(BatonError):
            while len(found) < FAR:
                found.append(self.roll_back().version)
        return found

    @property
    def champion(self):
        """The number of the champion."""
        return registry.champion(self.mlflow, self.names.model).version

    @property
    def withheld(self):
        """Why each version was not made champion."""
        return [version.withheld for version in registry.versions(self.mlflow, self.names.model)]
