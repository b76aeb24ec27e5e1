"""Whose fault a training's end was, asked of a real HDFS and a real MLflow."""

import shutil
import subprocess
from types import SimpleNamespace as Made

import pytest
import structlog
from mlflow.exceptions import MlflowException

from apps import datasets
from apps.common import entry
from apps.common.batches import BatchStore
from apps.common.errors import BatchRefused, Unavailable
from apps.common.exit_codes import CRASHED, FAILED, REFUSED
from apps.trainer.faults import judged
from apps.trainer.found_batch import TrainingContext
from apps.trainer.settings import TrainerSettings
from stack.java import jars, java_command

NOWHERE = "127.0.0.1:9"
BOSTON = datasets.get("boston_housing")


@pytest.fixture
def make_context(hdfs, mlflow, tmp_path):
    """What a trainer knows of its surroundings; some of them may be elsewhere."""

    def make(**elsewhere):
        told = {"batch": "b-0001", "dataset": BOSTON.name, "hdfs": hdfs, "mlflow": mlflow, "scratch": tmp_path}
        settings = TrainerSettings(**{**told, **elsewhere})
        log = structlog.testing.CapturingLogger()
        return TrainingContext(settings, BOSTON, BatchStore(settings.hdfs, settings.names), None, log)

    return make


@pytest.fixture
def safe_mode(hdfs, tmp_path):
    """HDFS answers, and takes no file, until the test is over."""

    def set_it(how):
        tool = "org.apache.hadoop.hdfs.tools.DFSAdmin"
        command = java_command("-Xmx64m", [f"{jars('hdfs')}/*"], tool, tmp_path)
        subprocess.run([*command, "-fs", hdfs, "-safemode", how], check=True, capture_output=True)

    set_it("enter")
    yield
    set_it("leave")


def code_after(context, error):
    """The exit code of a trainer in which ``error`` is raised."""
    try:
        with judged(context):
            raise error  # noqa: TRY301 - as a step would
    except Exception as raised:  # noqa: BLE001 - as the app's frame does
        return entry.exit_code(raised)


@pytest.mark.parametrize("error", [ZeroDivisionError(), ConnectionRefusedError("the JVM is gone"), MemoryError()])
def test_what_nobody_foresaw_is_a_crash_while_the_platform_is_well(make_context, error):
    """MLflow answers and HDFS takes a file, which is not left there: the trainer itself is at fault."""
    context = make_context()
    sets = context.store.folder("train-sets")
    before = [file.name for file in context.store.files.listing(sets)]  # of the tests before

    assert CRASHED == code_after(context, error)
    assert before == [file.name for file in context.store.files.listing(sets)]


@pytest.mark.parametrize("elsewhere", [{"hdfs": f"hdfs://{NOWHERE}"}, {"mlflow": f"http://{NOWHERE}"}])
def test_what_nobody_foresaw_is_no_crash_while_a_service_is_away(make_context, elsewhere):
    """Spark and MLflow raise the same for a bug and for a service that does not answer."""
    assert FAILED == code_after(make_context(**elsewhere), ZeroDivisionError())


def test_what_nobody_foresaw_is_no_crash_while_hdfs_takes_no_file(make_context, safe_mode):
    """In safe mode every question is answered, and every file refused."""
    context = make_context()

    assert [] == context.store.names("landing")
    assert FAILED == code_after(context, ZeroDivisionError())


def test_what_nobody_foresaw_is_no_crash_while_the_disk_is_full(make_context, monkeypatch):
    """The trainer's own disk counts too."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Made(free=1))

    with pytest.raises(Unavailable, match="disk must have 64 MiB free; got 0 MiB"), judged(make_context()):
        raise ZeroDivisionError


def test_what_mlflow_refuses_is_no_crash_and_a_bad_batch_is_a_refusal(make_context):
    """The registry may answer while its disk takes no artifact; a batch that breaks its contract is said to do so."""
    context = make_context()

    assert FAILED == code_after(context, MlflowException("no space left on device"))
    assert REFUSED == code_after(context, BatchRefused("rows must be at least 1"))
