"""The Tiltfile, evaluated with recorded builtins; ``test_tilt.py`` runs it for real where Tilt is on the path."""

import json

import pytest
import starlark
import yaml

from stack import services
from stack.environment import ROOT

CLUSTER = yaml.safe_load((ROOT / "kind-config.yaml").read_text())["name"]
PRELUDE = """
config = struct(define_string_list=_ignore, define_string=_ignore, parse=_parse)
def workload_to_resource_function(_):
    pass  # a function cannot be handed to Python
TRIGGER_MODE_MANUAL, TRIGGER_MODE_AUTO = "manual", "auto"
"""


class Refused(Exception):
    """What ``fail`` raises."""


class Recorded:
    """The Tiltfile, evaluated: what it called, with which arguments."""

    def __init__(self, *chosen, context=f"kind-{CLUSTER}", **options):
        """``chosen`` are the services named on the command line, ``options`` the rest of it."""
        self.calls = []
        module = starlark.Module()
        known = {
            "read_yaml": lambda path: yaml.safe_load((ROOT / path).read_text()),
            "decode_json": json.loads,
            "k8s_context": lambda: context,
            "local": self._local,
            "_parse": lambda: {"services": list(chosen), **options},
            "fail": self._fail,
        }
        noted = (
            *("version_settings", "allow_k8s_contexts", "ci_settings", "docker_build", "k8s_yaml", "k8s_resource"),
            *("helm", "link", "local_resource", "run", "sync", "_ignore"),
        )
        for name, call in known.items():
            module.add_callable(name, call)
        for name in noted:
            module.add_callable(name, self._note(name))
        dialect = starlark.Dialect.extended()
        dialect.enable_top_level_stmt = True
        library = starlark.Globals.extended_by(
            [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Print, starlark.LibraryExtension.Json]
        )
        text = PRELUDE + (ROOT / "Tiltfile").read_text()
        starlark.eval(module, starlark.parse("Tiltfile", text, dialect), library)

    def _images(self):
        return [path.name for path in (ROOT / "stack" / "images").iterdir() if path.is_dir()]

    def _local(self, command, **_):
        self.calls.append(("local", (command,), {}))
        if command == "./baton cluster values":
            return "told/here\n"
        return json.dumps({f"baton/{name}": f"baton/{name}:tag" for name in self._images()})

    def _fail(self, message):
        raise Refused(message)

    def _note(self, name):
        def call(*arguments, **named):
            self.calls.append((name, arguments, named))
            return f"{name}({', '.join(map(str, arguments))})"

        return call

    def of(self, name):
        """The calls of one builtin."""
        return [(arguments, named) for called, arguments, named in self.calls if called == name]

    def resources(self):
        """Each workload's resource by its name."""
        return {arguments[0]: named for arguments, named in self.of("k8s_resource") if arguments}


def test_every_service_is_a_resource_that_waits_for_what_it_needs():
    """
    Names, needs and order are those of stack.yaml, of all that has a chart.
    """
    charted = [one for one in services.load().services if one.chart]

    resources = Recorded(**{"live-metrics": "on", "gateway": "on", "cache": "on"}).resources()

    assert [one.name for one in charted] == [name for name in resources if name != "topics"]
    for service in charted:
        assert set(service.all_needs) <= set(resources[service.name]["resource_deps"])


def test_every_chart_is_told_what_up_tells_it():
    """
    The runtime says which images were loaded and what this cluster's addresses are; Tilt builds the image of the apps.
    """
    recorded = Recorded()

    charts = {named["name"]: named["values"] for _, named in recorded.of("helm")}

    wanted = {service.chart for service in services.load().services if service.chart}
    assert {chart: [f"told/here/{chart}.yaml"] for chart in wanted} == charts
    assert [("baton/apps", ".")] == [arguments for arguments, _ in recorded.of("docker_build")]


def test_chosen_services_bring_what_they_need_and_nothing_else():
    """
    ``tilt up mlflow`` runs MLflow and Postgres.
    """
    assert {"mlflow", "postgres"} == set(Recorded("mlflow").resources())


def test_a_standby_that_is_off_is_no_resource_and_the_chart_is_told():
    """
    ``tilt up -- --standby off`` runs everything else.
    """
    names = {service.name for service in services.load().running(())} | {"batch-dropper", "topics"}

    recorded = Recorded(standby="off")

    assert names == set(recorded.resources())
    told = {named["name"]: named["set"] for _, named in recorded.of("helm")}
    assert "standby=off" in told["pipeline"]
    assert "standby=on" in {named["name"]: named["set"] for _, named in Recorded().of("helm")}["pipeline"]


def test_an_unknown_service_is_refused_with_those_that_there_are():
    """
    A mistyped name is told apart from a service.
    """
    with pytest.raises(starlark.StarlarkError, match=r"one of postgres, .*; got kafak"):
        Recorded("kafak")


def test_another_context_is_refused():
    """
    Nothing is ever deployed into somebody else's cluster.
    """
    with pytest.raises(starlark.StarlarkError, match=rf"kind-{CLUSTER}; got production"):
        Recorded(context="production")


def test_the_cronjobs_of_up_make_room_for_tilts_watchers():
    """
    Beside a Deployment the CronJob of ``up`` would run a watcher twice; where no watcher is run none is removed.
    """
    watchers = [service.name for service in services.load().services if service.kind is services.ServiceKind.WATCHER]

    removed = [command for (command,), _ in Recorded().of("local") if "delete" in command]

    assert [watchers] == [command[-2:] for command in removed]
    assert {"cronjob", "--ignore-not-found", f"kind-{CLUSTER}"} <= set(removed[0])
    assert not [command for (command,), _ in Recorded("mlflow").of("local") if "delete" in command]


def test_it_is_short():
    """
    A Tiltfile of more than a screen or two would hide what it does.
    """
    assert len((ROOT / "Tiltfile").read_text().splitlines()) <= 100
