"""Who may import whom, and what only one place may do, is refused by the checks wherever else it stands."""

import json
import shutil
import subprocess
import sys

import pytest

from stack.cli.checks import CHECKS
from stack.environment import ROOT

WRONG = (  # arrows that are drawn quickly, and that nobody wants
    ("apps.common.files", "apps.orchestrator.port"),
    ("apps.common.manifest", "apps.datasets.source"),
    ("apps.datasets.declaration", "apps.orchestrator.embedded"),
    ("apps.new_data_watcher.tick", "apps.trainer.settings"),
    ("apps.orchestrator.embedded", "apps.orchestrator.cluster"),
    ("apps.orchestrator.port", "apps.orchestrator.embedded"),
    ("apps.orchestrator.factory", "kubernetes"),
    ("apps.common.waiting", "pyspark"),
    ("apps.common.errors", "stack.services"),
    ("apps.prediction_server.second_opinion", "apps.prediction_server.answers"),
    ("apps.prediction_server.second_opinion", "apps.common.model"),
    ("loadtest.timing", "stack.services"),
    ("stack.cli.settings", "stack.kind_from_source"),
    ("stack.cli.wait", "stack.kind_from_source.versions"),
    ("stack.cluster.node", "stack.embedded.process"),
    ("stack.cluster.node", "stack.kind_from_source.versions"),
    ("stack.embedded.doctor", "stack.cluster.kind_config"),
    ("stack.embedded.places", "stack.embedded.supervisor.state"),
    ("stack.embedded.process", "stack.cli.console"),
    ("stack.environment", "kubernetes"),
    ("stack.kind_from_source.golang", "stack.cluster.node"),
    ("stack.local_apps", "stack.cluster.node"),
    ("stack.logs", "loadtest.ledger"),
    ("stack.preflight", "docker"),
    ("stack.python_packages", "stack.cli.console"),
    ("stack.services", "stack.java"),
)


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What the import contracts say of a copy of the code that has a module nobody placed and all wrong arrows."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for folder in ("apps", "loadtest", "stack"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__", "jars"))
    (copy / "stack" / "nowhere.py").write_text("")
    for importer, imported in WRONG:
        with (copy / f"{importer.replace('.', '/')}.py").open("a") as module:
            module.write(f"\nimport {imported}\n")
    done = subprocess.run(CHECKS["imports"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(("importer", "imported"), WRONG, ids=[" to ".join(arrow) for arrow in WRONG])
def test_a_wrong_arrow_breaks_a_contract(refused, importer, imported):
    """
    Each import that a layer or a room forbids is named by the check.
    """
    assert f"{importer} -> {imported} (l." in refused


def test_a_new_module_of_the_stack_must_be_given_its_layer(refused):
    """
    A module that no layer names breaks the contract, instead of being free of it.
    """
    assert "nowhere" in refused


@pytest.mark.parametrize(
    ("file", "line", "rule"),
    [
        ("stack/embedded/runtime.py", 'print("x")', "T201"),
        ("stack/services.py", 'print("x")', "T201"),
        ("stack/cli/status.py", 'os.getenv("HOME")', "TID251"),
        ("apps/trainer/session.py", 'os.environ["HOME"]', "TID251"),
    ],
)
def test_what_only_one_place_may_do_is_refused_elsewhere(file, line, rule):
    """
    An adapter prints nothing, and nobody reads the environment beside the two who do.
    """
    command = [sys.executable, "-m", "ruff", "check", "--output-format=json", f"--stdin-filename={file}", "-"]
    code = f"import os\n\n{line}\n"
    done = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)

    assert rule in {problem["code"] for problem in json.loads(done.stdout)}
