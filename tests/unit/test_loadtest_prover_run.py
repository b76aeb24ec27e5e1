"""The run of a proof without Kafka: how the prover's own processes are started, and how long it is quiet at the end."""

import json
import time
from dataclasses import asdict, replace

import pytest

from apps.common.errors import Unavailable
from loadtest.prover import run
from loadtest.prover.plan import ANSWERS, REQUESTS, SENDS, Plan
from loadtest.prover.run import Proof, Tally
from tests.unit.proof_histories import echoed, named, proof, sent


def test_the_provers_processes_import_nothing_from_the_folder_they_are_started_in(tmp_path, monkeypatch):
    """A person may keep a file there that is called as a module of Python's own."""
    (tmp_path / "secrets.py").write_text("raise SystemExit('run by the prover')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)  # . may stand in it, and then that is what a person wants

    with pytest.raises(Unavailable, match=r"No such file or directory: .*plan\.json"):
        Proof(Plan("prove-1"), tmp_path, print).run()


def keep(folder, name, *lines):
    """Write them to the end of a journal, as a process of the prover does."""
    with (folder / name).open("a") as file:
        file.writelines(f"{json.dumps(asdict(line))}\n" for line in lines)


@pytest.mark.parametrize("answer", [echoed, named])
def test_what_merely_stands_in_the_topic_is_owed_an_answer_as_the_judge_has_it(tmp_path, answer):
    """Its acknowledgement was lost; with our headers one that stands twice is two requests, else it is one."""
    requests = [*proof().requests[:2], replace(proof().requests[1], offset=900)]
    keep(tmp_path, SENDS, sent(0), replace(sent(1), acked_at=None, partition=None, offset=None, error="timed out"))
    tally = Tally(tmp_path)

    assert 1 == tally.look()
    keep(tmp_path, REQUESTS, *requests[:2])
    keep(tmp_path, ANSWERS, answer(0))
    assert 1 == tally.look()
    keep(tmp_path, ANSWERS, answer(1))
    assert 0 == tally.look()
    keep(tmp_path, REQUESTS, requests[2])
    assert (answer is named) == tally.look()


@pytest.mark.parametrize(
    ("owed_s", "quiet_s"), [(0, 2), (3, 5), (9, 10)], ids=["nothing is owed", "late", "beyond what the plan says"]
)
def test_the_quiet_phase_is_over_when_nothing_was_owed_for_two_seconds(tmp_path, monkeypatch, owed_s, quiet_s):
    """So a late repeat is seen, and a request of which the reader learns only then is waited for."""
    clock = [time.monotonic()]
    began = clock[0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])

    def pause(seconds):
        clock[0] += seconds
        if owed_s and began + 1 <= clock[0] and not (tmp_path / REQUESTS).exists():
            keep(tmp_path, REQUESTS, *proof().requests[:1])
        if began + owed_s <= clock[0] and not (tmp_path / ANSWERS).exists():
            keep(tmp_path, ANSWERS, echoed(0))

    monkeypatch.setattr(run, "pause", pause)
    Proof(Plan("prove-1", quiet_s=8), tmp_path, lambda _: None).be_quiet()

    assert quiet_s == pytest.approx(clock[0] - began, abs=0.5)
