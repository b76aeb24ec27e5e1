"""What of a shell reaches a service, a program and Baton's own process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.cli import __main__ as cli
from stack.cli.shell import script
from stack.environment import app_environment, clean_own_process, for_program, inherited
from stack.services import load

TRAPS = dict.fromkeys(
    (
        *("AWS_PROFILE", "BATON_DATASET", "CLASSPATH", "DATABRICKS_HOST", "DYLD_LIBRARY_PATH", "GLIBC_TUNABLES"),
        *("GRPC_DNS_RESOLVER", "HADOOP_CONF_DIR", "HDFS_NAMENODE_USER", "JAVA_OPTS", "JAVA_TOOL_OPTIONS"),
        *("JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "KAFKA_OPTS", "KRB5_CONFIG", "MKL_NUM_THREADS", "_MLFLOW_TESTING"),
        *("KIND_CLUSTER_NAME", "KIND_EXPERIMENTAL_PROVIDER", "LD_LIBRARY_PATH", "LD_PRELOAD", "MALLOC_CONF"),
        *(
            "MLFLOW_TRACKING_URI",
            "MPLBACKEND",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        *("PGDATA", "PGHOST"),
        *("PIP_TARGET", "PIP_USER", "PYSPARK_PYTHON", "PYTHONHOME", "PYTHONPATH", "SPARK_CONF_DIR", "SPARK_HOME"),
        *("UVICORN_PORT", "UV_SYSTEM_PYTHON", "WEB_CONCURRENCY", "WHAT_THE_NEXT_PERSON_HAS", "YARN_CONF_DIR"),
    ),
    "/elsewhere",
)

NO_MATTER_BY_HAND = {  # what an app that is run by hand does not read; a service gets none of it all the same
    *("AWS_PROFILE", "DATABRICKS_HOST", "GRPC_DNS_RESOLVER", "KAFKA_OPTS", "KIND_CLUSTER_NAME", "MPLBACKEND"),
    *("KIND_EXPERIMENTAL_PROVIDER", "OTEL_EXPORTER_OTLP_ENDPOINT", "PGDATA", "PGHOST", "PIP_TARGET", "PIP_USER"),
    *("UV_SYSTEM_PYTHON", "WEB_CONCURRENCY", "WHAT_THE_NEXT_PERSON_HAS"),
}


@pytest.fixture
def shell(monkeypatch, tmp_path):
    """A shell full of traps; what a test does to it is undone."""
    monkeypatch.setattr(os, "environ", os.environ.copy())  # noqa: TID251
    for name, value in TRAPS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LC_ALL", "de_DE")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    return monkeypatch


def test_a_service_gets_nothing_of_a_shell_but_what_is_named(shell):
    """Whatever else a shell holds is kept out, also what nobody has thought of."""
    shell.setenv("HTTPS_PROXY", "http://proxy:3128")

    assert TRAPS.keys() & inherited().keys() == set()
    assert "/elsewhere" not in inherited().values()
    assert inherited()["HTTPS_PROXY"] == "http://proxy:3128"
    assert inherited()["HOME"] == os.environ["HOME"]  # noqa: TID251


@pytest.mark.parametrize(
    "name",
    [
        *("HOME", "LOGNAME", "USER", "JAVA_HOME", "OPENBLAS_CORETYPE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    ],
)
def test_what_a_service_needs_of_a_shell_it_gets(shell, name):
    """Who and where a person is, Java, certificates, and a proxy in either case."""
    shell.setenv(name, "given")

    assert inherited()[name] == "given"


def test_text_is_utf_8_and_clocks_are_utc_whatever_the_shell_says(shell):
    """A shell in another language changes neither what bytes mean nor what time it is."""
    shell.setenv("TZ", "Pacific/Auckland")

    assert ("C.UTF-8", "C.UTF-8", "UTC") == tuple(inherited()[name] for name in ("LANG", "LC_ALL", "TZ"))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_no_proxy_stands_before_this_machine_and_the_services(shell, name):
    """With and without a list of the shell's own, in the spelling of either case."""
    shell.delenv("NO_PROXY", raising=False)
    shell.delenv("no_proxy", raising=False)
    shell.setenv(name, "http://127.0.0.1:9")
    alone = inherited()
    shell.setenv("NO_PROXY", "corp.example, .lan")
    shell.setenv("no_proxy", "other.example")
    beside = inherited()

    assert {"127.0.0.1", "localhost", "::1", "kafka", "mlflow", "namenode"} <= set(alone["NO_PROXY"].split(","))
    assert {"corp.example", ".lan", "other.example", "127.0.0.1"} <= set(beside["no_proxy"].split(","))
    assert all(found["NO_PROXY"] == found["no_proxy"] for found in (alone, beside))


def test_a_shell_that_asks_for_no_proxy_at_all_is_heard(shell):
    """A star stands alone: beside other names it would mean nothing."""
    shell.setenv("no_proxy", "*")

    assert inherited()["NO_PROXY"] == "*"


def test_what_is_passed_on_is_passed_on_again_unchanged(shell):
    """A supervisor, started with what a service gets, passes on exactly that."""
    first = inherited()
    for name in set(os.environ) - set(first):  # noqa: TID251
        shell.delenv(name)
    for name, value in first.items():
        shell.setenv(name, value)

    assert first == inherited()


def test_a_temporary_folder_is_passed_on_only_when_it_can_be_used(shell, tmp_path):
    """One that is gone or closed would fail whoever asks for a temporary file."""
    without = inherited()
    shell.setenv("TMPDIR", str(tmp_path))

    assert "TMPDIR" not in without
    assert inherited()["TMPDIR"] == str(tmp_path)


def test_a_service_finds_this_python_first(shell):
    """The programs of the environment come before those of the machine; no entry means the current folder."""
    shell.setenv("PATH", "/usr/bin::/bin")

    assert [str(Path(sys.executable).parent), "/usr/bin", "/bin"] == inherited()["PATH"].split(":")


def test_a_program_gets_what_leads_it_to_its_own_and_no_more(shell):
    """Docker's daemon, kubectl's clusters, Go's proxy, the package index: each to the one that reads it."""
    for name in ("DOCKER_HOST", "KUBECONFIG", "GOPROXY", "GOFLAGS", "UV_DEFAULT_INDEX"):
        shell.setenv(name, "given")
    given = {
        program: {name for name, value in for_program(program).items() if value == "given"}
        for program in ("docker", "kind", "helm", "go", "uv", "gcc")
    }

    assert given == {
        "docker": {"DOCKER_HOST"},
        "kind": {"DOCKER_HOST", "KUBECONFIG"},
        "helm": {"KUBECONFIG"},
        "go": {"GOPROXY"},
        "uv": {"UV_DEFAULT_INDEX"},
        "gcc": set(),
    }
    assert "/elsewhere" not in for_program("kind").values()


def test_the_process_of_the_cli_is_cleaned_too(shell):
    """Its clients would read a proxy, a Hadoop folder or a Postgres host as the services would; its own stays."""
    kept = (
        "DOCKER_HOST",
        "KUBECONFIG",
        "TERM",
        "NO_COLOR",
        "BROWSER",
        "BATON_CACHE_DIR",
        "HTTP_PROXY",
        "SSL_CERT_FILE",
    )
    for name in kept:
        shell.setenv(name, "given")
    shell.setenv("TZ", "Pacific/Auckland")
    before = clean_own_process()
    left = os.environ  # noqa: TID251

    assert {name for name, value in left.items() if value == "/elsewhere"} == {"BATON_DATASET"}
    assert {name for name, value in left.items() if value == "given"} == {*kept}
    assert "127.0.0.1" in left["no_proxy"]
    assert left["TZ"] == "Pacific/Auckland"  # a person's times are a person's
    assert {"AWS_PROFILE": "/elsewhere"}.items() <= before.items()  # for a command that the person hands over
    assert "PYTHONPATH" not in before  # which the launcher sets


def test_settings_win_over_what_an_app_is_told_by_default(tmp_path):
    """An app hears the addresses of stack.yaml, and what the person asked for."""
    told = app_environment(load(), tmp_path, tmp_path / "jars", {"BATON_DATASET": "boston_housing"})

    assert told["BATON_DATASET"] == "boston_housing"
    assert load().service("kafka").address_at("127.0.0.1") == told["BATON_KAFKA"]


@pytest.mark.parametrize("begin", ["", "IFS=,", "IFS=_S", "set -eu"])
@pytest.mark.parametrize("program", [name for name in ("sh", "bash", "dash", "zsh") if shutil.which(name)])
def test_env_turns_any_shell_into_one_for_the_apps(program, begin, tmp_path):
    """After eval the variables are those of an app, to the letter, and nothing that would change an app is left."""
    wanted = {"PATH": os.environ["PATH"], "BATON_STATE": '/tmp/it\'s "my" $bätön #1\n%', "JAVA_HOME": "/java"}  # noqa: S108, TID251
    file = tmp_path / "env.sh"
    file.write_text(script(wanted))
    show = "import json, os; print(json.dumps(dict(os.environ)))"
    run = f'{begin}\neval "$(cat "{file}")"; "{sys.executable}" -c "{show}"'
    harmless = {"LD_PRELOAD": "", "PYTHONHOME": ""}  # else they would stop the shell and Python of this test itself
    began = {"PATH": os.environ["PATH"], **TRAPS, **harmless, "TMPDIR": "/gone", "JAVA_HOME": "/old", "EDITOR": "vi"}  # noqa: TID251
    done = subprocess.run([program, "-c", run], env=began, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)

    assert wanted.items() <= found.items()
    assert TRAPS.keys() & found.keys() == NO_MATTER_BY_HAND
    assert "TMPDIR" not in found
    assert found["EDITOR"] == "vi"


def test_every_command_runs_in_a_cleaned_process(shell):
    """So do the tests that ``./baton test`` starts: they inherit it."""
    seen = {}
    shell.setattr(cli, "app", lambda **_: seen.update(os.environ))  # noqa: TID251
    cli.main()

    assert not {"SPARK_HOME", "JAVA_TOOL_OPTIONS", "PGHOST"} & seen.keys()
    assert "127.0.0.1" in seen["no_proxy"].split(",")
