"""Tilt for real, where it is on the path: ``tilt ci``, a saved edit, every button, and Tilt beside ``up``."""

import subprocess

import pytest

from apps.common.waiting import wait_until
from stack.cli.stack import Mode, Stack
from stack.cluster import charts, programs
from stack.environment import ROOT
from tests.tilt.running_tilt import CI_S, TILT, RunningTilt, cluster, environment

pytestmark = [
    pytest.mark.skipif(TILT is None, reason="tilt is not on the path: the Tiltfile is evaluated, not run"),
    pytest.mark.timeout(2 * CI_S),
]
SYNC_S = 60
WATCHERS = ["new-data-watcher", "new-model-watcher"]
PROBE = ROOT / "apps" / "common" / "saved_edit_probe.py"


@pytest.fixture(scope="module")
def node():
    """The cluster."""
    with cluster() as made:
        yield made


@pytest.fixture(scope="module")
def tilt(node, tmp_path_factory):
    """Tilt, with everything ready."""
    running = RunningTilt(node, tmp_path_factory.mktemp("tilt") / "log")
    try:
        running.wait_until_ready()
        yield running
    finally:
        running.end()


def kubectl(node, *words):
    """What kubectl prints in the namespace of the stack."""
    return programs.run("kubectl", *node.access(), "--namespace", charts.NAMESPACE, *words)


def kinds(node, kind):
    """The watchers that there are as objects of a kind."""
    names = (line.rpartition("/")[2] for line in kubectl(node, "get", kind, "--output", "name").split())
    return sorted(name for name in names if name in WATCHERS)


def instance(node, app):
    """The pod of an app, and the process in it."""
    pod = kubectl(node, "get", "pods", "--selector", f"app.kubernetes.io/component={app}", "--output", "name")
    pattern = f"^python3 -m apps.{app.replace('-', '_')}"
    process = kubectl(node, "exec", f"deployment/{app}", "--", "sh", "-c", f"pgrep -f '{pattern}' || true")
    return pod, process


def test_tilt_ci_is_green_on_an_empty_cluster(node):
    """
    ``tilt ci``: images built, charts deployed, every resource healthy.
    """
    done = subprocess.run(
        [TILT, "ci", "--port", "0"],
        cwd=ROOT,
        env=environment(node),
        capture_output=True,
        text=True,
        timeout=CI_S,
        check=False,
    )

    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    assert (WATCHERS, []) == (kinds(node, "deployments"), kinds(node, "cronjobs"))


@pytest.mark.parametrize("app", ["new-data-watcher", "prediction-server"])
def test_a_saved_edit_runs_in_the_pod_that_is_there(node, tilt, app):
    """
    A file saved in apps/ is in the pod, whose process started anew, without a new pod.
    """
    pod, process = instance(node, app)

    def restarted():
        now = instance(node, app)
        return now if now[1] not in (process, "") else None

    PROBE.write_text(f"# saved for {app}\n")
    try:
        now = wait_until(restarted, SYNC_S, lambda: f"{app} runs on: {process}\n{tilt.tail()}")
        text = kubectl(node, "exec", f"deployment/{app}", "--", "cat", f"/opt/baton/{PROBE.relative_to(ROOT)}")
    finally:
        PROBE.unlink()
    tilt.wait_until_ready()

    assert text == f"# saved for {app}\n"
    assert now[0] == pod


def test_every_button_does_its_work(tilt):
    """
    Drop a batch, tick both watchers, send traffic, and run the end-to-end test: each by ``tilt trigger``.
    """
    pipeline = Stack(mode=Mode.CLUSTER).pipeline()
    assert tilt.press("drop-batch") == ""
    assert tilt.press("tick-new-data") == ""
    wait_until(pipeline.champion, 600, "no version was trained", every=2)
    assert tilt.press("tick-new-model") == ""
    wait_until(pipeline.served_version, 300, "no version serves", every=2)

    for button in ("traffic", "load-test", "e2e"):
        assert tilt.press(button) == "", tilt.tail()


def test_up_and_tilt_make_room_for_one_another(node, tilt):
    """
    ``up`` on a cluster that Tilt filled leaves CronJobs alone, Tilt after it Deployments alone; what serves goes on.
    """
    before = Stack(mode=Mode.CLUSTER).pipeline().served_version()
    tilt.end()

    Stack(mode=Mode.CLUSTER).up("used_cars", None)
    assert ([], WATCHERS) == (kinds(node, "deployments"), kinds(node, "cronjobs"))
    after = RunningTilt(node, tilt.log.with_name("after"))
    try:
        after.wait_until_ready()
    finally:
        after.end()

    assert (WATCHERS, []) == (kinds(node, "deployments"), kinds(node, "cronjobs"))
    assert before == Stack(mode=Mode.CLUSTER).pipeline().served_version()
