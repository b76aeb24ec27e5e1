"""What the chart tests share: helm, and the objects that a chart makes of some values, without any cluster."""

import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

from apps.common.errors import SettingsError
from stack.cluster import programs
from tests.charts.rendered import API, FOLDER, KUBERNETES

SET = {False: "--set", True: "--set-string"}


@cache
def _find_helm():
    try:
        return str(programs.find("helm"))
    except SettingsError as error:
        pytest.fail(str(error))


@cache
def _run(*arguments):
    return subprocess.run([_find_helm(), *arguments], capture_output=True, text=True, timeout=60, check=False)


def _set(values):
    """The options for values, or files of them; a setting of an app is a text, whatever it looks like."""
    options = ["--values" if isinstance(one, Path) else SET[one.startswith("settings.")] for one in values]
    return [str(part) for pair in zip(options, values, strict=True) for part in pair]


@pytest.fixture(scope="session")
def helm():
    """Run ``helm VERB CHART`` with values such as ``a.b=1``; what it said, and how it ended."""

    def run(verb, chart, *values, api=API):
        names = {"template": [chart, "--namespace=baton"], "lint": ["--strict"]}[verb]
        values = (api, *values) if api and chart == "pipeline" else values
        return _run(verb, *names, str(FOLDER / chart), f"--kube-version={KUBERNETES}", *_set(values))

    return run


@pytest.fixture(scope="session")
def render(helm):
    """The objects that a chart makes of values such as ``a.b=1``."""

    def objects(chart, *values):
        done = helm("template", chart, *values)
        assert done.returncode == 0, done.stderr
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    return objects


@pytest.fixture(scope="session")
def default_values():
    """The values of a chart as its values.yaml gives them."""
    return lambda chart: yaml.safe_load((FOLDER / chart / "values.yaml").read_text())
