"""
The MLflow server: its web application under uvicorn, started as ``mlflow server`` starts it.

``mlflow server`` itself stays in memory beside the application and adds four processes for jobs nobody asks for here:
1.5 GiB and 30 s of CPU in place of 270 MiB and 8 s. The variables are those that it hands to the application.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import requests

from apps.common.errors import SettingsError, Unavailable
from stack.embedded.services.spec import HERE, ProcessSpec, StackContext
from stack.environment import HOST

NAME = "mlflow"
HEALTH_S = 2
FIRST_QUESTION_S = 90  # it makes the tables of a new database


def _packages() -> Path:
    """The folder that MLflow is installed in."""
    found = find_spec("mlflow")
    if found is None or found.origin is None:
        raise SettingsError("mlflow must be installed; got none; remove .venv and start ./baton")
    return Path(found.origin).parent.parent


def spec(context: StackContext) -> ProcessSpec:
    """How to run it."""
    service = context.service(NAME)
    database = context.service("postgres").address_at(HOST).replace("postgresql://", "postgresql+psycopg2://")

    def command() -> list[str]:
        where = ["--host", HOST, "--port", str(service.ports["http"])]
        return [sys.executable, "-P", "-m", "uvicorn", *where, "--no-access-log", "mlflow.server.fastapi_app:app"]

    def probe() -> None:
        address = service.address_at(HOST)
        requests.get(f"{address}/health", timeout=HEALTH_S).raise_for_status()
        question = f"{address}/api/2.0/mlflow/experiments/search?max_results=1"
        answer = requests.get(question, timeout=FIRST_QUESTION_S)
        if not answer.ok:
            raise Unavailable(f"MLflow must answer from its database; got {answer.status_code}; see its log")

    environment = {
        "PYTHONPATH": str(HERE),  # it puts the path of its own package into a configuration where a % means something
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": context.folder("mlartifacts").as_uri(),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_SERVER_ALLOWED_HOSTS": f"{HOST}:*,localhost:*",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    return ProcessSpec(command, _packages(), probe=probe, environment=environment, grace_s=5)
