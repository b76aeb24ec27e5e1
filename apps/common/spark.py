"""
What the two Spark apps must agree on, and where Spark runs: in the app's own process, or with executors as pods.

With executors it is client mode with Kubernetes' scheduler. Executors share no disk with their driver, so what both
must read goes to HDFS: ``shared``. Spark itself is not imported here.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from apps.common.names import SCRATCH
from apps.common.settings import CHART, MEMORY, SetBy, Settings, Unit

# What an expression of the model means, in the trainer that fits it and in the server that answers with it alike.
# Without ANSI mode a bad cell gives NULL and a rejection, never an exception; in UTC a date is the same everywhere; and
# ${env:NAME} is a text, not what the environment holds.
MEANING = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.variable.substitute": "false",
}

# PySpark tells the JVM of each call of its functions where in the program it stands: six questions and answers, and
# with them half of the time that a plan of a hundred columns takes.
QUICK_TO_PLAN = {"spark.python.sql.dataFrameDebugging.enabled": "false"}

# How a number is written. The quantifiers are possessive: no text is tried a second time, however long it is.
DECIMAL = "^[+-]?([0-9]++([.][0-9]*+)?|[.][0-9]++)([eE][+-]?[0-9]{1,3})?$"
BACKTRACKING_DECIMAL = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,3})?$"  # the same, in earlier versions

WHOLE = "-XX:+ExitOnOutOfMemoryError"  # of a JVM: what is left of one after that would hang for ever
LOCAL = "local"
KUBERNETES = "k8s://https://kubernetes.default.svc:443"
REGISTERED_S = 180
SPARK_MASTER = r"^(local(\[([1-9][0-9]*|\*)\])?|[a-z0-9]+://.+)$"


class ExecutorSettings(Settings):
    """How many executors (0: none, Spark stays in this process); the chart sets the rest when there are some."""

    executors: Annotated[int, Unit("pods"), SetBy("trainer.executors and server.executors of charts/pipeline")] = Field(
        default=0,
        ge=0,
        description="How many pods run Spark's work beside the app's own; 0 keeps Spark in the app's process.",
    )
    executor_cores: Annotated[int, Unit("cores"), SetBy("settings of charts/pipeline")] = Field(
        default=1, ge=1, description="Tasks that an executor runs at a time."
    )
    executor_memory: Annotated[str, Unit("bytes, as 512m"), SetBy("settings of charts/pipeline")] = Field(
        default="512m", pattern=MEMORY, description="The heap of an executor."
    )
    executor_image: Annotated[str, CHART] = Field(default="", description="The image of an executor.")
    executor_template: Annotated[str, CHART] = Field(
        default="", description="The file with the pod that Spark completes."
    )
    pod_name: Annotated[str, CHART] = Field(default="", description="The app's own pod, which owns its executors.")
    pod_ip: Annotated[str, CHART] = Field(default="", description="Where executors reach the app's own pod.")
    namespace: Annotated[str, CHART] = Field(default="baton", description="The Kubernetes namespace of the stack.")

    @model_validator(mode="after")
    def _nothing_is_missing(self) -> Self:
        values = {name: getattr(self, name) for name in ("executor_image", "executor_template", "pod_name", "pod_ip")}
        missing = [f"BATON_{name.upper()}" for name, value in values.items() if not value]
        if self.executors and missing:
            raise ValueError(f"executors need {', '.join(missing)} too; see charts/pipeline")
        return self

    def shared(self, name: str) -> str:
        """The URL of a folder that driver and executors can both read, of this pod alone."""
        return f"{self.hdfs}{self.names.hdfs_root}/{SCRATCH}/{self.pod_name}/{name}"

    def authentication(self, master: str) -> dict[str, str]:
        """
        The option by which nobody speaks to a driver's ports without its secret.

        Spark draws one for each local session, and for executors in pods, which get it as a variable of theirs; on
        another master somebody would have to hand it out.
        """
        return {"spark.authenticate": str(bool(self.executors) or master.startswith(LOCAL)).lower()}

    def spark_options(self) -> dict[str, str]:
        """The options of a session with executors, over its own options; none without executors."""
        if not self.executors:
            return {}
        return {
            "spark.master": KUBERNETES,
            "spark.driver.host": self.pod_ip,
            "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104 - the executors come from other pods
            "spark.executor.instances": str(self.executors),
            "spark.executor.cores": str(self.executor_cores),
            "spark.executor.memory": self.executor_memory,
            "spark.executor.extraJavaOptions": f"{WHOLE} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xss4m",
            "spark.pyspark.python": "python3",
            "spark.kubernetes.namespace": self.namespace,
            "spark.kubernetes.container.image": self.executor_image,
            "spark.kubernetes.driver.pod.name": self.pod_name,  # its owner: with the driver's pod the executors go too
            "spark.kubernetes.executor.podTemplateFile": self.executor_template,
            "spark.kubernetes.executor.podNamePrefix": self.pod_name,
            "spark.kubernetes.executor.request.cores": "50m",
            "spark.kubernetes.executor.deleteOnTermination": "true",
            "spark.kubernetes.authenticate.executor.serviceAccountName": "executor",
            "spark.kubernetes.local.dirs.tmpfs": "false",
            # Pods are all that the driver may touch: nothing else is made, so nothing else need be listed or removed.
            "spark.kubernetes.executor.disableConfigMap": "true",
            "spark.kubernetes.driver.service.deleteOnTermination": "false",
            "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
            "spark.kubernetes.driver.reusePersistentVolumeClaim": "false",
            # work begins when all of them are there
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": f"{REGISTERED_S}s",
        }
