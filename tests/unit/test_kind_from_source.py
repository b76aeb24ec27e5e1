"""What makes a cluster possible without an image registry: its steps, its runtime wrapper, its archives."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from apps.common.errors import SettingsError, Unavailable
from apps.common.waiting import wait_until
from stack.kind_from_source import (
    archive,
    command,
    docker,
    golang,
    node_image,
    programs,
    steps,
    versions,
)

ROOT = Path(__file__).parents[2]
PATH = os.pathsep.join(os.get_exec_path())
FULL = "CapBnd:\t000001ffffffffff\n"
WITHOUT_SYS_RESOURCE = "CapBnd:\t000001fffeffffff\n"

needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not on the PATH: the scripts under test call it")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("BATON_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@contextmanager
def silent(title):
    """A report that shows nothing."""
    yield SimpleNamespace(update=str)


def test_every_wrong_version_is_reported_at_once(tmp_path):
    """A file with a missing, a malformed and an unknown key is refused with one line for each."""
    path = tmp_path / "versions.yaml"
    kept = "kind: 0.33.0\nhelm: 3.19.0\netcd: 3.6.5\ncoredns: 1.12.4\ndebian: bookworm\n"
    path.write_text(f"{kept}kubernetes: v1.34\nkinnd: 0.33.0\n")

    with pytest.raises(SettingsError) as error:
        versions.load(path)

    lines = str(error.value).splitlines()
    assert [line.split()[1] for line in lines] == ["kubernetes", "local_path_provisioner", "kube_router", "its"]


def test_kubernetes_own_libraries_have_their_own_number():
    """The libraries of Kubernetes 1.34.4 are at 0.34.4."""
    pinned = versions.load()

    assert f"1.{pinned.staging.removeprefix('0.')}" == pinned.kubernetes


def test_staging_modules_are_read_from_a_go_mod():
    """Each module that a go.mod replaces by a folder of its own staging tree is found, and no other."""
    text = "replace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n\tx.io/y => x.io/y v1.0.0\n)\n"

    assert golang.STAGING.findall(text) == ["k8s.io/api"]


def test_a_step_that_is_there_is_not_made_again():
    """The loop makes only what is not there, in order."""
    made = []
    listed = [
        steps.BuildStep(name, lambda name=name: name == "first" or name in made, lambda _, name=name: made.append(name))
        for name in ("first", "second", "third")
    ]

    steps.run(listed, silent)

    assert made == ["second", "third"]


def test_a_step_without_its_outcome_ends_the_run():
    """A step whose outcome is not there after it was made is an error that names it, and nothing follows it."""
    made = []
    listed = [
        steps.BuildStep("the moon", lambda: False, str),
        steps.BuildStep("after", lambda: False, made.append),
    ]

    with pytest.raises(Unavailable, match="the moon"):
        steps.run(listed, silent)

    assert made == []


def test_a_failed_program_shows_its_last_lines(folder):
    """The error of a failed program has its exit code, the end of its output and the log's place."""
    with pytest.raises(Unavailable) as error:
        command.run("demo", ["sh", "-c", "echo before; echo no room >&2; exit 3"])

    assert "got 3" in str(error.value)
    assert "no room" in str(error.value)
    assert (folder / "logs" / "demo.log").read_text() == "before\nno room\n"


def test_an_interrupted_program_ends_with_all_it_started(folder, tmp_path):
    """A program and its children are gone once the run that started them is interrupted."""
    pid_file = tmp_path / "pid"

    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.run("demo", ["sh", "-c", f"sleep 60 & echo $! >{pid_file}; echo up; wait"], line=interrupt)

    state = Path(f"/proc/{int(pid_file.read_text())}/stat")
    assert wait_until(lambda: not state.exists() or ") Z" in state.read_text(), 5, "the child is still there")


def fit(tmp_path, words, document, held):
    """The file that the wrapper leaves behind, and the words that it hands to runc."""
    (tmp_path / "config.json").write_text(json.dumps(document))
    runc = tmp_path / "runc"
    runc.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/words\n')
    runc.chmod(0o755)
    variables = {"PATH": PATH, "RUNC_FIT_RUNC": str(runc), "RUNC_FIT_HELD": held.split()[1]}
    subprocess.run([docker.WRAPPER, *words], env=variables, check=True)
    return json.loads((tmp_path / "config.json").read_text()), (tmp_path / "words").read_text().splitlines()


PROCESS = {
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": None},
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}],
    "oomScoreAdj": -999,
}
FITTED = {"capabilities": {"bounding": ["CAP_CHOWN"], "ambient": None}, "oomScoreAdj": 0}


@needs_jq
@pytest.mark.parametrize("option", [["--bundle", "{}"], ["--bundle={}"], ["-b", "{}"]])
def test_the_wrapper_asks_runc_for_no_more_than_there_is(tmp_path, option):
    """A container is created without the missing capability, with no limit to raise and no negative OOM score."""
    words = ["--root", "/r", "create", *(part.format(tmp_path) for part in option), "name"]

    config, handed_on = fit(tmp_path, words, {"process": PROCESS, "root": {}}, WITHOUT_SYS_RESOURCE)

    assert config == {"process": FITTED, "root": {}}
    assert handed_on == words


@needs_jq
def test_the_wrapper_fits_a_process_that_joins_a_container(tmp_path):
    """A process file given to exec is fitted like a container's own process."""
    words = ["exec", "--process", f"{tmp_path}/config.json", "name"]

    assert fit(tmp_path, words, PROCESS, WITHOUT_SYS_RESOURCE)[0] == FITTED


@needs_jq
@pytest.mark.parametrize(
    ("words", "held"),
    [(["create", "--bundle", "{}", "name"], FULL), (["delete", "--bundle", "{}", "name"], WITHOUT_SYS_RESOURCE)],
)
def test_the_wrapper_changes_nothing_without_need(tmp_path, words, held):
    """Nothing is changed where no capability is missing, nor by a verb that starts no process."""
    words = [word.format(tmp_path) for word in words]

    config, handed_on = fit(tmp_path, words, {"process": PROCESS}, held)

    assert config == {"process": PROCESS}
    assert handed_on == words


LISTED = """REF TYPE DIGEST SIZE PLATFORMS LABELS
example.io/library/debian:slim application/x sha256:m1 1MiB linux/amd64 -
sha256:c1 application/x sha256:m1 1MiB linux/amd64 -
example.io/baton/apps:dev application/x sha256:m2 1MiB linux/amd64 -
"""


@needs_jq
@pytest.mark.parametrize("wanted", ["debian:slim", "example.io/library/debian:slim", "sha256:c1", "sha256:m1"])
def test_the_crictl_of_the_node_finds_an_image_by_any_of_its_names(tmp_path, wanted):
    """An image is found by its short name, full name, id and digest, and told with its id and its tags."""
    ctr = tmp_path / "ctr"
    ctr.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTED}END\n")
    ctr.chmod(0o755)
    crictl = ["sh", node_image.NODE / "crictl", "inspecti"]
    variables = {"PATH": f"{tmp_path}:{PATH}"}

    told = subprocess.run([*crictl, wanted], env=variables, capture_output=True, check=True).stdout
    unknown = subprocess.run([*crictl, "debian:other"], env=variables, capture_output=True, check=False)

    assert json.loads(told) == {"status": {"id": "sha256:c1", "repoTags": ["example.io/library/debian:slim"]}}
    assert unknown.returncode == 1


def test_an_image_archive_says_the_truth_of_its_layer(tmp_path):
    """The archive names the image, its layer's digest is the layer's, and the program in it can be run."""
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    archive.write(tmp_path / "image.tar", program, "pause:1")

    with tarfile.open(tmp_path / "image.tar") as image:
        read = {member.name: image.extractfile(member).read() for member in image}
        with tarfile.open(fileobj=image.extractfile("layer.tar")) as layer:
            modes = {member.name: member.mode for member in layer}
    manifest = json.loads(read["manifest.json"])[0]
    config = json.loads(read[manifest["Config"]])
    assert manifest["RepoTags"] == ["pause:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(read['layer.tar']).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/usr/bin/pause"]
    assert modes["usr/bin/pause"] == 0o755


def test_equal_programs_give_equal_archives(tmp_path):
    """The same program archived again, at another time, gives the same bytes."""
    program = tmp_path / "pause"
    program.write_bytes(b"program")
    archive.write(tmp_path / "first.tar", program, "pause:1")
    os.utime(program, (1, 1))
    archive.write(tmp_path / "second.tar", program, "pause:1")

    assert (tmp_path / "first.tar").read_bytes() == (tmp_path / "second.tar").read_bytes()


def test_a_node_holds_a_program_for_each_that_is_compiled():
    """Every program that is asked for has a Go package, and none is compiled for nothing."""
    asked = {*programs.TOOLS, *programs.NODE, *programs.PODS, *programs.FILTERING}

    assert asked == set(golang.PACKAGES)


APT = """#!/bin/sh
echo "$@" >>{log}
[ "$(wc -l <{log})" -gt {failures} ] && exit 0
echo "E: {said}" >&2
exit 100
"""


@pytest.fixture
def apt(folder, tmp_path, monkeypatch):
    """An apt-get that fails so many times with an error; what it was asked for."""

    def install(failures, said):
        log = tmp_path / "apt.log"
        program = tmp_path / "apt-get"
        program.write_text(APT.format(log=log, failures=failures, said=said))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{PATH}")
        return lambda: [line.split()[3] for line in log.read_text().splitlines()]

    return install


def test_another_apt_is_waited_for(apt):
    """Neither the lists nor the packages are given up on because somebody else installs something."""
    verbs = apt(1, "Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)")
    notes = []

    docker.install(["jq"], notes.append)

    assert verbs() == ["update", "update", "install"]
    assert notes == ["installing jq", "waiting for another apt"]


def test_any_other_failure_of_apt_is_told_at_once(apt):
    """A package that is not to be had will not come by waiting."""
    verbs = apt(9, "Unable to locate package")

    with pytest.raises(Unavailable, match="Unable to locate package"):
        docker.install(["jq"], str)

    assert verbs() == ["update"]
