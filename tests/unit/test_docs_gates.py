"""The gates that the documents show: Kubernetes takes their objects, and the prover their arguments."""

import re
import shlex
import tomllib

import kubernetes_validate
import pytest
import yaml

from loadtest.prover import options
from stack.environment import ROOT
from tests.charts.rendered import KUBERNETES

EXAMPLES = ROOT / "docs" / "examples"
DOCKERFILE = (ROOT / "loadtest" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "loadtest" / "pyproject.toml").read_text())["project"]
IMAGE = f"baton/prove:{PROJECT['version']}"
LOAD_TESTER_S = 60  # so long its server writes an answer
POD_S = 15  # that a pod may take to start, with its image on the node


def objects(name):
    """Kind -> the object of it."""
    return {one["kind"]: one for one in yaml.safe_load_all((EXAMPLES / name).read_text())}


def plan(arguments):
    """What the prover would do; raises what its command line does."""
    return options.plan_of(options.command_line("baton-prove", "").parse_args(arguments))


def seconds(text):
    """Of a duration in seconds."""
    return float(text.removesuffix("s"))


def test_an_analysis_of_argo_rollouts_is_a_job_that_proves():
    """Kubernetes takes it, and the steps of the roll-out outlast it, or it would judge nothing."""
    found = objects("argo-rollouts.yaml")
    job = found["AnalysisTemplate"]["spec"]["metrics"][0]["provider"]["job"]["spec"]
    kubernetes_validate.validate(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "a"}, "spec": job}, KUBERNETES, strict=True
    )
    canary = found["Rollout"]["spec"]["strategy"]["canary"]
    asked = {one["name"]: one["value"] for one in canary["analysis"]["args"]}
    (container,) = job["template"]["spec"]["containers"]
    told = plan([re.sub(r"{{args\.(\w+)}}", lambda name: asked[name[1]], word) for word in container["args"]])

    assert (IMAGE, asked["url"]) == (container["image"], told.http)
    assert {one["name"] for one in found["AnalysisTemplate"]["spec"]["args"]} == set(asked)
    pauses = [seconds(step["pause"]["duration"]) for step in canary["steps"] if "pause" in step]
    assert pauses[0] < told.seconds < told.seconds + told.quiet_s + POD_S < sum(pauses)
    assert {"templateName": found["AnalysisTemplate"]["metadata"]["name"]} in canary["analysis"]["templates"]


@pytest.mark.parametrize(
    "webhook", objects("flagger.yaml")["Canary"]["spec"]["analysis"]["webhooks"], ids=lambda w: w["type"]
)
def test_a_gate_of_flagger_proves_and_ends_in_time(webhook):
    """Before the load tester, and Flagger, give it up; Flagger asks that hooks take less than its interval."""
    command = shlex.split(webhook["metadata"]["cmd"])
    told = plan(command[command.index("--") + 1 :])
    interval = objects("flagger.yaml")["Canary"]["spec"]["analysis"]["interval"]

    assert ("bash", f"--image={IMAGE}") == (webhook["metadata"]["type"], command[5])
    assert {"--restart=Never", "--attach"} <= set(command)
    assert told.seconds + told.quiet_s + POD_S < LOAD_TESTER_S <= seconds(webhook["timeout"]) < seconds(interval)


@pytest.mark.parametrize("kind", ["Role", "RoleBinding"])
def test_what_the_load_tester_may_do_is_an_object_of_kubernetes(kind):
    """As its schemas say."""
    kubernetes_validate.validate(objects("flagger.yaml")[kind], KUBERNETES, strict=True)


def test_the_image_runs_what_the_wheel_installs():
    """It is named by the wheel's version, and is made of what the wheel is made of."""
    script = re.search(r'^ENTRYPOINT .*"([\w-]+)"\]$', DOCKERFILE, re.MULTILINE)[1]
    copied = re.findall(r"^COPY (\w+)/? ", DOCKERFILE, re.MULTILINE)

    assert script in PROJECT["scripts"]
    assert f"docker build -t {IMAGE} -f loadtest/Dockerfile ." in DOCKERFILE
    assert all((ROOT / name).exists() for name in copied)
    packed = tomllib.loads((ROOT / "loadtest" / "pyproject.toml").read_text())
    files = packed["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    outside = {file.split("/")[1] for file in files if file.startswith("../")}
    assert {*outside, "loadtest"} == set(copied)
