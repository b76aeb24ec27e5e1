"""What the tests of the commands share: a checkout whose state is the test's own."""

import os
import subprocess
import sys

import pytest

from stack.environment import ROOT


class Checkout:
    """The code of this checkout under another root, so that its .baton/ is the test's."""

    def __init__(self, root):
        """``root`` is an empty folder."""
        self.root = root
        for name in ("apps", "charts", "loadtest", "stack", "pyproject.toml", "kind-config.yaml"):
            (root / name).symlink_to(ROOT / name)

    def keep(self, mode):
        """Let the checkout have a stack of ``mode``, as up leaves it; return its state folder."""
        state = self.root / ".baton" / mode
        state.mkdir(parents=True)
        (state / "settings.json").write_text('{"BATON_DATASET": "used_cars"}')
        return state

    def start(self, *arguments, **environment):
        """./baton on its way, without the launcher."""
        command = [sys.executable, "-m", "stack.cli", *arguments]
        shell = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "PYTHON"))}  # noqa: TID251
        pipe = subprocess.PIPE
        own = {"PYTHONPATH": str(self.root), "COLUMNS": "80", **environment}
        return subprocess.Popen(command, cwd=self.root, env=shell | own, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments, **environment):
        """./baton to its end: exit code, standard output, standard error."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err


@pytest.fixture
def checkout(tmp_path):
    """A checkout of the test's own, in which nothing was ever started."""
    root = tmp_path / "checkout"
    root.mkdir()
    return Checkout(root)
