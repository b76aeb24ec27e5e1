"""No telemetry, no account, no network: first of all, because its stack has the machine's memory to itself."""

import json
import os
import subprocess
import sys

from stack.environment import ROOT

# Another user may make a namespace of its own too, where the kernel is set up so; it needs the right to raise loopback.
NAMESPACE = ["unshare", "--net"]
NAMESPACE_OF_A_USER = ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]
WITHOUT_ROOT = "(a user other than root needs user namespaces: sysctl user.max_user_namespaces)"
SILENCING = ("CI", "GITHUB_", "PYTEST_", "DO_NOT_TRACK", "MLFLOW_")  # where these are set, MLflow is silent by itself


def test_a_stack_starts_trains_and_serves_without_a_network_and_never_asks_for_one():
    """
    With loopback alone a version is trained and serves, and no process tried to reach another machine even once.
    """
    namespace = NAMESPACE if os.geteuid() == 0 else NAMESPACE_OF_A_USER
    command = [*namespace, sys.executable, "-m", "tests.e2e.offline_story"]
    shell = {name: value for name, value in os.environ.items() if not name.startswith(SILENCING)}  # noqa: TID251
    story = subprocess.run(command, cwd=ROOT, env=shell, capture_output=True, text=True, check=False)

    assert 0 == story.returncode, f"{story.stderr}\n{WITHOUT_ROOT}"
    outcome = json.loads(story.stdout.splitlines()[-1])
    assert ("1", 0) == (outcome["version"], outcome["attempts"])
    assert 1 == outcome["counted"], "the kernel must count attempts; it does not"
