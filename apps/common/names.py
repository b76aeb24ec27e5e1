"""
What a stack calls what it has on its platform.

Each name begins with the stack's own, so that several stacks, of the same dataset too, share a Kafka, an HDFS and an
MLflow and never touch what is another's.
"""

from dataclasses import dataclass

STACK_NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"  # no dot: it ends the stack's part of a name
DEFAULT_STACK = "baton"
SCRATCH = "scratch"  # below the stack's HDFS folder: what running apps write for themselves


@dataclass(frozen=True)
class StackNames:
    """The names of one stack, ``stack``, that works on ``dataset``."""

    stack: str
    dataset: str

    @property
    def requests(self) -> str:
        """The topic of the requests."""
        return f"{self.stack}.prediction-requests"

    @property
    def answers(self) -> str:
        """The topic of the answers."""
        return f"{self.stack}.predictions"

    @property
    def outcomes(self) -> str:
        """The topic of the outcomes."""
        return f"{self.stack}.outcomes"

    @property
    def live_metrics(self) -> str:
        """The topic of the live figures."""
        return f"{self.stack}.live-metrics"

    @property
    def pair(self) -> tuple[str, str]:
        """The topics of requests and answers, whose partitions belong together."""
        return self.requests, self.answers

    @property
    def rehearsal(self) -> "StackNames":
        """Those of what a standby rehearses with; no stack is called so, and rights by prefix hold for it too."""
        return StackNames(f"{self.stack}.standby", self.dataset)

    @property
    def hdfs_root(self) -> str:
        """The HDFS folder above everything that the stack keeps there."""
        return f"/baton/{self.stack}"

    @property
    def model(self) -> str:
        """The registered model, and the experiment of its trainings; answers carry it."""
        return f"{self.stack}.{self.dataset}"
