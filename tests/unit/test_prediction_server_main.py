"""The server before it serves: it waits at little cost, and it says what is wrong with its settings."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from apps.common.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent


MIB = 2**20


def start(folder, **settings):
    """A server with its own ready file."""
    told = {
        "BATON_READY_FILE": str(folder / "told" / "ready.json"),
        "BATON_SCRATCH": str(folder / "scratch"),
        "BATON_SPARK_JARS": str(folder),
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "apps.prediction_server"], cwd=ROOT, env=told, stderr=subprocess.PIPE, text=True
    )


def test_a_server_without_a_version_waits_and_takes_next_to_no_memory(tmp_path):
    """
    It says that it waits, has started no JVM, loads neither Spark nor MLflow, and ends at once when told to.
    """
    server = start(tmp_path, BATON_RELEASE="3")
    ready = tmp_path / "told" / "ready.json"
    try:
        wait_until(ready.exists, 20, "the server does not say that it waits")
        process = psutil.Process(server.pid)
        memory, children = process.memory_info().rss, process.children()
        loaded = {Path(one.path).name for one in process.memory_maps() if "pyarrow" in one.path or "numpy" in one.path}
    finally:
        server.send_signal(signal.SIGTERM)
    code = server.wait(5)

    assert json.loads(ready.read_text()) == {"release": 3, "version": "", "state": "waiting"}
    assert memory < 100 * MIB
    assert (children, loaded, code) == ([], set(), 0)


def test_every_bad_setting_is_named_at_once(tmp_path):
    """
    One error tells all that is wrong with the environment, and the exit code says that nothing serves.
    """
    server = start(tmp_path, BATON_RELEASE="two", BATON_TRIGGER="hourly")

    _, said = server.communicate(timeout=20)

    assert server.returncode == 1
    assert "BATON_RELEASE must be" in said
    assert "BATON_TRIGGER must be" in said
