"""The frame that every app runs in."""

import json

import pytest

from apps.common import entry
from apps.common.errors import Unavailable
from apps.common.exit_codes import FAILED, NOTHING_LEFT
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


def test_a_refusal_is_one_line_and_a_crash_is_a_crash(monkeypatch, capsys):
    """
    A wrong setting or a service that is away ends the app with its reason; a fault of the program is not hidden.
    """

    def away(*_):
        raise Unavailable("HDFS must answer; got nothing; is the stack up?")

    refused = entry.run("toy", ToySettings, away, failed="the toy is broken")
    told = capsys.readouterr().err
    monkeypatch.setenv("BATON_SIZE", "many")
    misread = entry.run("toy", ToySettings, away, failed="the toy is broken")

    assert (FAILED, FAILED) == (refused, misread)
    assert "the toy is broken" in told
    assert "HDFS must answer" in told
    assert "BATON_SIZE must be valid" in capsys.readouterr().err
    monkeypatch.setenv("BATON_SIZE", "1")
    with pytest.raises(ZeroDivisionError):
        entry.run("toy", ToySettings, lambda *_: 1 // 0, failed="the toy is broken")
