"""The frame that every app runs in."""

import errno
import json

import pytest
import requests

from apps.common import entry
from apps.common.errors import BatchRefused, BatonError, DeadlineMissed, ModelRefused, SettingsError, Unavailable
from apps.common.exit_codes import CRASHED, FAILED, NOTHING_LEFT, REFUSED
from apps.common.settings import Settings


class ToySettings(Settings):
    """One field of its own."""

    size: int = 1


def test_an_app_ends_with_the_code_of_its_work_and_logs_as_its_settings_say(monkeypatch, capsys):
    """
    The work gets the settings of the environment and a logger in the format that they name.
    """
    monkeypatch.setenv("BATON_SIZE", "3")
    monkeypatch.setenv("BATON_LOG_FORMAT", "json")

    def work(settings, log):
        log.info("worked", size=settings.size)
        return NOTHING_LEFT

    code = entry.run("toy", ToySettings, work, failed="the toy is broken")
    line = json.loads(capsys.readouterr().err)

    assert NOTHING_LEFT == code
    assert ("toy", "worked", 3) == (line["app"], line["event"], line["size"])


def away(*_):
    """The work of an app that lacks a service."""
    raise Unavailable("HDFS must answer; got nothing; is the stack up?")


def test_what_was_foreseen_is_one_line_and_a_crash_has_its_traceback(monkeypatch, capsys):
    """
    A wrong setting or a service that is away ends the app with its reason; a fault of the program says where it is.
    """
    unwell = entry.run("toy", ToySettings, away, failed="the toy is broken")
    told = capsys.readouterr().err
    monkeypatch.setenv("BATON_SIZE", "many")
    misread = entry.run("toy", ToySettings, away, failed="the toy is broken")
    misread_told = capsys.readouterr().err
    monkeypatch.setenv("BATON_SIZE", "1")
    crashed = entry.run("toy", ToySettings, lambda *_: 1 // 0, failed="the toy is broken")
    traceback = capsys.readouterr().err

    assert (FAILED, FAILED, CRASHED) == (unwell, misread, crashed)
    assert 1 == len(told.strip().splitlines())
    assert "the toy is broken" in told
    assert "HDFS must answer" in told
    assert "BATON_SIZE must be valid" in misread_told
    assert "the toy is broken" in traceback
    assert "ZeroDivisionError" in traceback.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BatchRefused("rows must be at least 1"), REFUSED),
        (ModelRefused("golden rows differ"), REFUSED),
        (Unavailable("HDFS must answer"), FAILED),
        (SettingsError("BATON_SIZE must be valid"), FAILED),
        (DeadlineMissed("waited 60 s"), FAILED),
        (BatonError("the query ended"), FAILED),
        (OSError(errno.ENOSPC, "No space left on device"), FAILED),
        (requests.ConnectionError("no route to MLflow"), FAILED),
        (ConnectionRefusedError("the JVM is gone"), CRASHED),
        (MemoryError(), CRASHED),
        (KeyError("a fault of the program"), CRASHED),
    ],
)
def test_only_a_fault_of_the_input_is_a_refusal_and_only_a_fault_of_the_program_a_crash(error, code):
    """
    Everything that somebody outside can mend is neither.
    """
    assert code == entry.exit_code(error)
