"""What the cluster mode decides without a cluster."""

import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace as Made

import pytest
import yaml

from apps.common.errors import SettingsError
from apps.common.exit_codes import Outcome
from apps.common.target import Target
from apps.orchestrator import cluster as orchestrator
from apps.orchestrator.port import Failure, Release, ReleaseState
from stack import services
from stack.cli.bench import up as bench
from stack.cluster import budget, charts, doctor, images, kind_config, readiness
from stack.cluster.node import NodeNetwork
from stack.cluster.runtime import ClusterRuntime
from tests.toys import toy

NETWORK = NodeNetwork("172.18.0.2", "172.18.0.1")


def unseen(_):
    """Nobody saw how a pod of a release ended."""


def deployment(**status):
    """A Deployment of one pod in its second generation, complete unless told otherwise."""
    complete = {
        "observed_generation": 2,
        "replicas": 1,
        "updated_replicas": 1,
        "available_replicas": 1,
        "conditions": [],
    }
    annotations = status.pop("annotations", {})
    return Made(
        metadata=Made(generation=2),
        spec=Made(replicas=1, template=Made(metadata=Made(annotations=annotations))),
        status=Made(**(complete | status)),
    )


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ({}, True),
        ({"observed_generation": 1}, False),
        ({"replicas": 2}, False),
        ({"updated_replicas": None}, False),
        ({"available_replicas": 0}, False),
    ],
)
def test_a_roll_out_is_complete_when_nothing_of_another_template_is_left(status, ready):
    """
    An old pod that still runs, or a controller that has not looked yet, means: not complete.
    """
    assert ready is readiness.deployment_ready(deployment(**status))


@pytest.mark.parametrize(
    ("serving", "conditions", "state"),
    [
        (3, [], ReleaseState.SERVING),
        (2, [], ReleaseState.STARTING),
        (None, [], ReleaseState.STARTING),
        (2, [Made(reason="ProgressDeadlineExceeded")], ReleaseState.FAILED),
        (3, [Made(reason="ProgressDeadlineExceeded")], ReleaseState.SERVING),
    ],
)
def test_a_wanted_release_stands_where_its_pods_are(serving, conditions, state):
    """
    It serves when a ready pod has its number; it failed when Kubernetes gave up on one that does not.
    """
    told = {orchestrator.RELEASE: "3", orchestrator.VERSION: "7"}
    ready = Release(serving, toy("7"), ReleaseState.SERVING) if serving else None

    found = orchestrator._wanted(deployment(annotations=told, conditions=conditions), ready, unseen)  # noqa: SLF001

    assert Release(3, Target("", "7"), state) == found


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.REFUSED, ReleaseState.FAILED),
        (Outcome.COULD_NOT, ReleaseState.STARTING),
        (Outcome.CRASHED, ReleaseState.STARTING),
    ],
)
def test_a_release_whose_server_refused_it_has_failed(outcome, state):
    """
    Kubernetes starts the server again whatever it ended for; what it refused once it refuses always.
    """
    told, failure = {orchestrator.RELEASE: "3", orchestrator.VERSION: "7"}, Failure(outcome, 0.0, "it says why")

    found = orchestrator._wanted(deployment(annotations=told), None, lambda _: failure)  # noqa: SLF001

    assert (state, failure) == (found.state, found.failure)


@pytest.mark.parametrize("target", [Target("cars", "7", "run", "a" * 64), Target("cars", "7")])
def test_a_release_is_read_from_the_annotations_that_a_roll_out_writes(target):
    """
    Model, version, run and manifest are told on; a patch says every one, lest one of the release before stays.
    """
    before = orchestrator._annotations(3, Target("other", "6", "other", "b" * 64))  # noqa: SLF001
    patched = before | orchestrator._annotations(4, target)  # noqa: SLF001

    found = orchestrator._wanted(deployment(annotations=patched), None, unseen)  # noqa: SLF001

    assert Release(4, target, ReleaseState.STARTING) == found


def test_a_deadline_of_the_roll_out_before_is_not_held_against_this_one():
    """
    The condition belongs to the generation that Kubernetes has looked at.
    """
    told = {orchestrator.RELEASE: "3", orchestrator.VERSION: "7"}
    stale = deployment(annotations=told, conditions=[Made(reason="ProgressDeadlineExceeded")], observed_generation=1)

    assert ReleaseState.STARTING is orchestrator._wanted(stale, None, unseen).state  # noqa: SLF001


def test_an_image_is_named_by_what_it_is_made_of(tmp_path):
    """
    Another byte, another name of a file or another argument gives another tag; the same content the same one.
    """
    (tmp_path / "run").write_text("one")

    def reference(**arguments):
        return images.Image("baton/x", {"run": tmp_path / "run"}, arguments).reference

    first = reference()
    assert first == reference()
    assert first != reference(python="other")
    (tmp_path / "run").write_text("two")
    assert first != reference()
    changed = reference()
    (tmp_path / "run").chmod(0o755)
    assert changed != reference()


def test_a_lock_loses_packages_with_all_that_belongs_to_them():
    """
    The hashes below a package that is left out go with it, and nothing else does.
    """
    lock = "a==1 \\\n    --hash=sha256:1\n    # via x\nb==2 \\\n    --hash=sha256:2\nbb==3 \\\n    --hash=sha256:3\n"

    assert "a==1 \\\n    --hash=sha256:1\n    # via x\nbb==3 \\\n    --hash=sha256:3\n" == images._without(lock, ("b",))  # noqa: SLF001


def test_a_chart_is_told_its_image_and_the_pipeline_its_dataset_and_settings():
    """
    The dataset and whether there is a standby are values of their own; every other variable goes to the apps.
    """
    references = {"baton/apps": "baton/apps:1", "baton/kafka": "baton/kafka:2"}
    settings = {"BATON_DATASET": "boston_housing", "BATON_STANDBY": "off", "BATON_TREES": "5"}

    assert {"repository": "baton/kafka", "tag": "2"} == charts.values("kafka", references, settings, NETWORK)["image"]
    told = charts.values("pipeline", references, settings, NETWORK)
    assert ("boston_housing", "off", {"BATON_TREES": "5"}) == (told["dataset"], told["standby"], told["settings"])


def test_this_machine_comes_in_by_the_nodes_network_and_the_watchers_go_out_to_its_api():
    """
    What kind maps is open to the node's own addresses, and only to them; the API server is the node itself.
    """
    references = {f"baton/{name}": f"baton/{name}:1" for name in ("apps", "postgres", "kafka", "hdfs", "mlflow")}
    told = {chart: charts.values(chart, references, {}, NETWORK) for chart in (*charts.ON_THIS_MACHINE, "postgres")}

    opened = {"enabled": True, "from": ["172.18.0.1/32", "172.18.0.2/32"]}
    assert {"kafka": opened, "hdfs": opened, "mlflow": opened, "postgres": None} == {
        chart: values.get("hostPorts") for chart, values in told.items()
    }
    pipeline = charts.values("pipeline", references, {}, NETWORK)
    assert {"kubernetes": [{"ipBlock": {"cidr": "172.18.0.2/32"}}]} == pipeline["egress"]


def test_tilt_finds_a_file_of_values_for_every_chart(tmp_path, monkeypatch):
    """
    Each file holds what ``up`` tells the chart; for Postgres also the Secret, which rendering alone would draw anew.
    """
    monkeypatch.setattr(charts, "STATE", tmp_path)
    references = {f"baton/{name}": f"baton/{name}:1" for name in ("apps", "postgres", "kafka", "hdfs", "mlflow")}

    folder = charts.write_values(Made(network=lambda: NETWORK), references)

    for chart in {one.chart for one in services.load().services if one.chart}:
        told = yaml.safe_load((folder / f"{chart}.yaml").read_text())
        own = {"existingSecret": "postgres"} if chart == "postgres" else {}
        assert charts.values(chart, references, {}, NETWORK) | own == told


def test_every_chart_has_an_image_that_is_built():
    """
    No service is without an image.
    """
    names = {path.name for path in images.FOLDER.iterdir()}

    assert {charts.image_of(one.chart).removeprefix("baton/") for one in services.load().services if one.chart} <= names


def test_the_nodes_ports_are_those_of_the_embedded_mode():
    """
    Whoever knows a port of stack.yaml finds the same service there in both modes, on this machine only.
    """
    known = {port for one in services.load().services for port in one.ports.values()}

    wanted = kind_config.ports()

    assert {"127.0.0.1"} == {address for address, _ in wanted}
    assert {port for _, port in wanted} <= known


def test_the_budgets_page_is_what_the_data_says():
    """
    docs/budget.md is written from budget.yaml and never by hand.
    """
    assert budget.PAGE.read_text() == budget.page(budget.load())


def test_a_bent_budget_is_refused(tmp_path):
    """
    The file is named, with what to do.
    """
    bent = tmp_path / "budget.yaml"
    bent.write_text(yaml.safe_dump({"memory": 3}))

    with pytest.raises(SettingsError, match=r"budget\.yaml must be as bench wrote it"):
        budget.load(bent)


def pod(name="kafka-0", phase="Running", *, scheduled=True, **status):
    """A pod of one container, ready unless told otherwise."""
    waiting, restarts, ended = status.get("waiting"), status.get("restarts", 0), status.get("ended")
    ready = waiting is None and ended is None
    container = Made(
        ready=ready,
        restart_count=restarts,
        state=Made(waiting=waiting, running=None),
        last_state=Made(terminated=ended),
    )
    told = [Made(type="PodScheduled", status=str(scheduled), message="0/1 nodes: Insufficient memory")]
    conditions = [*told, Made(type="Ready", status=str(ready))]
    return Made(
        metadata=Made(name=name), status=Made(phase=phase, conditions=conditions, container_statuses=[container])
    )


@pytest.mark.parametrize(
    ("found", "says", "hopeless"),
    [
        (pod(), "", False),
        (pod(scheduled=False), "kafka-0 finds no place: 0/1 nodes: Insufficient memory", False),
        (
            pod(waiting=Made(reason="ImagePullBackOff", message="no such image")),
            "kafka-0: ImagePullBackOff: no such image",
            True,
        ),
        (
            pod(restarts=5, waiting=Made(reason="CrashLoopBackOff"), ended=Made(exit_code=137, reason="OOMKilled")),
            "kafka-0 was started 6 times, exit code 137 (OOMKilled)",
            False,
        ),
        (pod(waiting=Made(reason="ContainerCreating")), "kafka-0 is ContainerCreating", False),
    ],
)
def test_what_keeps_a_pod_is_named_and_waiting_ends_where_it_cannot_help(found, says, hopeless):
    """
    A place may become free; a missing image will not mend itself.
    """
    assert (says, hopeless) == readiness._keeps(found)  # noqa: SLF001


@pytest.mark.parametrize(("age", "state"), [(timedelta(seconds=-1), "starting"), (timedelta(seconds=1), "ready")])
def test_what_was_ready_before_the_nodes_start_is_not_ready_yet(age, state):
    """
    A node that was stopped tells for a while what was true before; its containers are older than its start.
    """
    started = datetime(2026, 1, 1, tzinfo=UTC)
    server = services.load().service("prediction-server")
    running = Made(started_at=started + age)
    container = Made(ready=True, restart_count=0, state=Made(waiting=None, running=running))
    conditions = [Made(type="Ready", status="True")]
    before = Made(
        metadata=Made(name="server-1"),
        status=Made(phase="Running", conditions=conditions, container_statuses=[container]),
    )
    look = readiness.Readiness(None, started)

    found = look._found(server, {}, {server.name: deployment()}, set(), [before])  # noqa: SLF001

    assert state == found.state


def test_nothing_of_a_checkouts_umask_is_in_an_image(tmp_path):
    """
    Files that only their owner may read are every user's in an image, and the image has the same name.
    """
    (tmp_path / "folder").mkdir()
    run, data = tmp_path / "folder" / "run", tmp_path / "folder" / "data"
    run.write_text("run")
    data.write_text("data")
    made = {}
    for folder, program, file in [(0o755, 0o755, 0o644), (0o700, 0o700, 0o600), (0o750, 0o750, 0o640)]:
        (tmp_path / "folder").chmod(folder)
        run.chmod(program)
        data.chmod(file)
        image = images.Image("baton/x", {"folder": tmp_path / "folder"})
        context = io.BytesIO()
        images._context(image, context)  # noqa: SLF001 - what Docker gets
        with tarfile.open(fileobj=context) as tar:
            made[image.reference] = {entry.name: entry.mode for entry in tar}

    assert [{"folder": 0o755, "folder/run": 0o755, "folder/data": 0o644}] == list(made.values())


@pytest.mark.parametrize(
    ("name", "size", "volume", "ok"),
    [
        ("rows.csv", 400 * 2**20, "1Gi", True),
        ("rows.csv", 500 * 2**20, "1Gi", False),
        ("rows.csv", 10 * 2**30, "22Gi", True),
        ("rows.csv.gz", 60 * 2**20, "1Gi", True),
        ("rows.csv.gz", 100 * 2**20, "1Gi", False),
    ],
)
def test_a_source_must_fit_into_the_droppers_volume_twice(tmp_path, name, size, volume, ok):
    """
    As it is and as slices; the remedy says which size to set, and that a volume that is there stays as it is.
    """
    with (tmp_path / name).open("wb") as file:
        file.truncate(size)

    check = doctor.room(tmp_path / name, volume)

    assert check.ok is ok
    assert ok or "set dropper.persistence.size in charts/pipeline/values.yaml to 2Gi" in str(check)


def test_a_value_of_a_chart_is_the_one_that_up_sets_or_the_charts_own():
    """
    What is set over a chart's values wins, however deep it is.
    """
    path = "dropper.persistence.size"

    assert charts.value("pipeline", path, {}) == "1Gi"
    assert charts.value("pipeline", path, {"pipeline": {"dropper": {"persistence": {"size": "9Gi"}}}}) == "9Gi"
    assert charts.value("pipeline", path, {"pipeline": {"trainer": {"executors": 2}}}) == "1Gi"
    assert charts.value("pipeline", "no.such.value", {}) is None


@pytest.mark.parametrize(
    ("settings", "values", "there"),
    [
        ({}, {}, True),
        ({"BATON_STANDBY": "on"}, {}, True),
        ({"BATON_STANDBY": "off"}, {}, False),
        ({}, {"pipeline": {"standby": "off"}}, False),
    ],
)
def test_a_standby_that_is_off_is_not_looked_for(tmp_path, monkeypatch, settings, values, there):
    """
    It is no service of that cluster; whether it is off is a setting, or a value of the chart.
    """
    monkeypatch.setattr(ClusterRuntime, "running", lambda _: False)

    found = {one.service for one in ClusterRuntime(tmp_path, settings, values=values).status()}

    assert there is ("standby" in found)
    always = {one.name for one in services.load().services if one.kind is not services.ServiceKind.OPTIONAL}
    assert always == found - {"standby"}


@pytest.mark.parametrize(
    ("more_gib", "ok", "says"), [(1.5, True, ""), (0.3, True, "--set standby=off"), (-0.1, False, "")]
)
def test_a_machine_without_room_for_a_standby_can_do_without_one(monkeypatch, more_gib, ok, says):
    """
    Where there is memory for everything else, doctor says how to leave it out, and lets the machine pass.
    """
    stack = services.load()
    need = budget.load().training_mib(stack) * 2**20
    monkeypatch.setattr(doctor, "free_memory", lambda: need + more_gib * 2**30)

    check = doctor._memory(stack, running=False)  # noqa: SLF001

    assert ok is check.ok
    assert says in check.got
    assert bool(says) is ("standby" in check.got)


def test_what_a_standby_takes_is_no_part_of_what_a_machine_must_have():
    """
    A budget that was measured with one asks for no more than one without.
    """
    stack, found = services.load(), budget.load()
    own = {name: mib for name, mib in found.memory_mib.items() if name != "standby"}
    without = replace(found, memory_mib=own, node_mib=3000)
    beside = replace(found, memory_mib={**own, "standby": 800}, node_mib=3800)

    assert without.training_mib(stack) == beside.training_mib(stack)


def test_the_budget_was_taken_as_long_after_the_roll_out_as_bench_waits():
    """A figure of a JVM that still compiles would say of an idle server that it is busy."""
    assert bench.SETTLED_S == budget.load().idle_after_s
