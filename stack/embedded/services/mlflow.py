"""
The MLflow server: its web application under uvicorn, started as ``mlflow server`` starts it.

``mlflow server`` itself stays in memory beside the application and adds four processes for jobs nobody asks for here:
1.5 GiB and 30 s of CPU in place of 270 MiB and 8 s. The variables are those that it hands to the application.
"""

import importlib.util
import sys
from pathlib import Path

import requests

from apps.common.errors import Unavailable
from stack.embedded.services import postgres
from stack.embedded.services.spec import HERE, ProcessSpec, StackContext
from stack.environment import HOST

NAME = "mlflow"
HEALTH_S = 2
FIRST_QUESTION_S = 90  # it makes the tables of a new database


def _packages() -> Path:
    """The folder in which MLflow is installed."""
    found = importlib.util.find_spec("mlflow")
    assert found is not None  # noqa: S101 - the lock names it
    assert found.origin is not None  # noqa: S101 - a package with code
    return Path(found.origin).parent.parent


def spec(context: StackContext) -> ProcessSpec:
    """How to run it."""
    service = context.service(NAME)
    database = context.service(postgres.NAME).address_at(HOST).replace("postgresql://", "postgresql+psycopg2://")

    def command() -> list[str]:
        # It is imported from where it runs: its migrations' path goes into a file in which a % means something.
        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE)]
        where = ["--host", HOST, "--port", str(service.ports["http"])]
        return [*uvicorn, *where, "--no-access-log", "mlflow.server.fastapi_app:app"]

    def probe() -> None:
        address = service.address_at(HOST)
        requests.get(f"{address}/health", timeout=HEALTH_S).raise_for_status()
        question = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
        answer = requests.get(question, timeout=FIRST_QUESTION_S)
        if not answer.ok:
            raise Unavailable(f"MLflow must answer from its database; got {answer.status_code}; see its log")

    environment = {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "PGPASSFILE": str(postgres.passfile(context)),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": context.folder("mlartifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:*,localhost:*",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    return ProcessSpec(command, _packages(), probe=probe, environment=environment, grace_s=5)
