"""The embedded orchestrator's files: killed anywhere, damaged or used by several processes at once."""

import multiprocessing
from pathlib import Path

import pytest

from apps.common.errors import Unavailable
from apps.common.exit_codes import Outcome
from apps.common.target import Target
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Release, ReleaseState, TrainingState
from apps.orchestrator.state_files import StateFiles
from tests.toys import toy


class Killed(BaseException):
    """The process ends here."""


def kill_points(monkeypatch, steps):
    """Run ``steps`` again and again in new folders, killed before its 1st, 2nd, ... change of the disk."""
    real_replace, real_unlink = Path.replace, Path.unlink
    for point in range(20):
        left = [point]

        def change(real, left=left):
            def changed(self, *arguments, **options):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return real(self, *arguments, **options)

            return changed

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", change(real_replace))
            patch.setattr(Path, "unlink", change(real_unlink))
            try:
                steps(point)
            except Killed:
                yield point
                continue
        return


def test_a_training_asked_for_by_a_killed_watcher_is_asked_for_once_in_the_end(tmp_path, monkeypatch):
    """
    Wherever start_training is killed, asking again gives one training of that batch and keeps the earlier one.
    """

    def steps(point):
        orchestrator = EmbeddedOrchestrator(tmp_path / str(point))
        orchestrator.start_training("b-0001", "a")
        orchestrator.mark_training("a", TrainingState.SUCCEEDED)
        orchestrator.start_training("b-0002", "b")

    points = list(kill_points(monkeypatch, steps))
    assert [0, 1, 2, 3] == points
    for point in points[2:]:
        again = EmbeddedOrchestrator(tmp_path / str(point))
        again.start_training("b-0002", "b")

        assert TrainingState.SUCCEEDED is again.trainings()["a"].state
        assert 1 == again.trainings()["b"].attempts
        assert "b-0002" == again.pending_training().batch


def test_a_release_marked_by_a_killed_supervisor_is_served_or_starting_never_lost(tmp_path, monkeypatch):
    """
    Wherever a hand-over is killed, one of the two releases serves and the number of the next one is greater.
    """

    def steps(point):
        orchestrator = EmbeddedOrchestrator(tmp_path / str(point))
        orchestrator.roll_out(toy("1"))
        orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.SERVING)
        orchestrator.roll_out(toy("2"))
        orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.SERVING)
        orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.FAILED)

    points = list(kill_points(monkeypatch, steps))
    assert len(points) >= 6
    for point in points[2:]:
        served = EmbeddedOrchestrator(tmp_path / str(point)).served()

        assert served.serving is not None
        assert served.wanted.release >= served.serving.release
        assert EmbeddedOrchestrator(tmp_path / str(point)).roll_out(toy("3")) > served.wanted.release


def test_the_supervisor_finds_what_was_asked_for_and_what_it_started(tmp_path):
    """
    A request is pending until it is marked as running; then its process is known to the next supervisor.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.start_training("b-0001", "a")
    assert ("b-0001", "a", 1) == (
        orchestrator.pending_training().batch,
        orchestrator.pending_training().content_hash,
        orchestrator.pending_training().attempt,
    )
    assert orchestrator.running_training() is None

    orchestrator.mark_training("a", TrainingState.RUNNING, pid=4711, created=17.5)

    assert orchestrator.pending_training() is None
    assert (4711, 17.5) == (orchestrator.running_training().pid, orchestrator.running_training().created)


def test_a_training_stopped_on_purpose_waits_again_without_another_attempt(tmp_path):
    """
    Marked as requested, a training is pending once more and its process is forgotten.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.start_training("b-0001", "a")
    orchestrator.mark_training("a", TrainingState.RUNNING, pid=4711, created=17.5)

    orchestrator.mark_training("a", TrainingState.REQUESTED)

    assert (1, None) == (orchestrator.pending_training().attempt, orchestrator.pending_training().pid)


def test_a_late_word_on_an_older_training_or_release_is_void(tmp_path):
    """
    Only the newest training can be marked, and an older server that becomes ready takes nothing back.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.start_training("b-0001", "a")
    orchestrator.fail_training("a", Outcome.CRASHED)
    orchestrator.start_training("b-0002", "b")
    orchestrator.mark_training("a", TrainingState.SUCCEEDED)
    orchestrator.fail_training("a", Outcome.CRASHED)
    for version in ("1", "2"):
        orchestrator.roll_out(toy(version))
    orchestrator.mark_release(Release(2, toy("2"), ReleaseState.STARTING), ReleaseState.SERVING)

    orchestrator.mark_release(Release(1, toy("1"), ReleaseState.STARTING), ReleaseState.SERVING)
    orchestrator.mark_release(Release(1, toy("1"), ReleaseState.STARTING), ReleaseState.FAILED)
    orchestrator.fail_release(1, Outcome.REFUSED)
    orchestrator.fail_release(2, Outcome.REFUSED)

    assert TrainingState.FAILED is orchestrator.trainings()["a"].state
    assert TrainingState.REQUESTED is orchestrator.trainings()["b"].state
    assert Release(2, toy("2"), ReleaseState.SERVING) == orchestrator.served().serving == orchestrator.served().wanted


def test_a_release_that_could_not_start_waits_and_one_that_is_at_fault_has_failed(tmp_path):
    """
    What could not be done stays wanted, with its reason and its tries; a refusal or the third crash ends the wish.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.roll_out(toy("1"))
    for _ in range(20):
        orchestrator.fail_release(1, Outcome.COULD_NOT, "MLflow must answer")
    waiting = orchestrator.served().wanted
    assert 1 == orchestrator.roll_out(toy("1"))
    orchestrator.fail_release(1, Outcome.REFUSED, "golden rows differ")
    refused = orchestrator.served().wanted
    orchestrator.fail_release(1, Outcome.COULD_NOT, "a late word")

    assert (ReleaseState.STARTING, "MLflow must answer", 20) == (
        waiting.state,
        waiting.failure.reason,
        waiting.failure.tries,
    )
    assert (ReleaseState.FAILED, "golden rows differ") == (refused.state, refused.failure.reason)
    assert refused == orchestrator.served().wanted

    assert 2 == orchestrator.roll_out(toy("2"))
    for _ in range(3):
        assert ReleaseState.STARTING is orchestrator.served().wanted.state
        orchestrator.fail_release(2, Outcome.CRASHED)
    assert ReleaseState.FAILED is orchestrator.served().wanted.state


@pytest.mark.parametrize("state", [ReleaseState.STARTING, ReleaseState.FAILED])
def test_a_release_that_serves_no_longer_is_withdrawn(tmp_path, state):
    """
    A release that has to start again, or fails while it serves, does not count as serving.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.roll_out(toy("1"))
    orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.SERVING)

    orchestrator.mark_release(orchestrator.wanted_release(), state)

    assert orchestrator.served().serving is None
    assert Release(1, toy("1"), state) == orchestrator.served().wanted


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"state": "dancing"}', '{"release": "x", "version": 1, "state": 2}']
)
def test_a_damaged_file_counts_as_absent_and_is_written_anew(tmp_path, damage):
    """
    Half a file, as a power cut leaves it, stops nobody; release numbers still grow beyond what serves.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.roll_out(toy("1"))
    orchestrator.mark_release(orchestrator.wanted_release(), ReleaseState.SERVING)
    orchestrator.start_training("b-0001", "a")
    for name in ("training.json", "release.json"):
        (tmp_path / "orchestrator" / name).write_text(damage)

    assert {} == orchestrator.trainings()
    assert 2 == orchestrator.roll_out(toy("2"))
    orchestrator.start_training("b-0001", "a")
    assert "b-0001" == orchestrator.pending_training().batch


def test_a_state_folder_that_cannot_be_written_is_unavailable(tmp_path):
    """
    Where the state folder should be there is a file: the error names it.
    """
    (tmp_path / "orchestrator").write_text("")

    with pytest.raises(Unavailable, match="state folder must be readable and writable"):
        EmbeddedOrchestrator(tmp_path).roll_out(toy("1"))


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("roll_out", ("2",)),
        ("start_training", ("b-0002", "b")),
        ("mark_training", ("a", TrainingState.RUNNING)),
        ("mark_release", (Release(1, toy("1"), ReleaseState.STARTING), ReleaseState.FAILED)),
    ],
)
def test_a_writer_waits_for_the_one_before_it(tmp_path, verb, arguments):
    """
    While one process holds the lock, what another one decides is not written; afterwards it is.
    """
    orchestrator = EmbeddedOrchestrator(tmp_path)
    orchestrator.roll_out(toy("1"))
    orchestrator.start_training("b-0001", "a")
    if verb == "start_training":
        orchestrator.mark_training("a", TrainingState.FAILED)

    def written():
        return {path: path.read_text() for path in tmp_path.rglob("*.json")}

    before = written()
    other = multiprocessing.Process(target=getattr(orchestrator, verb), args=arguments)
    with StateFiles(tmp_path / "orchestrator").locked():
        other.start()
        other.join(0.5)
        assert before == written()
    other.join()

    assert before != written()


def ask_often(folder, version):
    """What one of several processes does."""
    for _ in range(50):
        EmbeddedOrchestrator(folder).roll_out(toy(version))


def test_processes_that_ask_at_once_get_numbers_of_their_own(tmp_path):
    """
    Two processes that roll out different versions in turns never share or skip a number.
    """
    processes = [multiprocessing.Process(target=ask_often, args=(tmp_path, version)) for version in ("1", "2")]
    for process in processes:
        process.start()
    seen = []
    while any(process.is_alive() for process in processes):
        wanted = EmbeddedOrchestrator(tmp_path).wanted_release()
        seen += [wanted.release] if wanted else []
    for process in processes:
        process.join()

    assert sorted(seen) == seen
    assert [0, 0] == [process.exitcode for process in processes]
    assert 2 <= EmbeddedOrchestrator(tmp_path).wanted_release().release <= 100


def test_files_that_an_earlier_baton_wrote_are_read(tmp_path):
    """
    A release was a version's number then: what else it is of is not known, and its failure still is.
    """
    folder = tmp_path / "orchestrator"
    folder.mkdir()
    failure = '{"outcome": "could not", "at": 5.0, "reason": "MLflow must answer", "tries": 2, "crashes": 0}'
    (folder / "served.json").write_text('{"release": 3, "version": "7", "state": "serving", "failure": null}')
    (folder / "release.json").write_text(f'{{"release": 4, "version": "8", "state": "starting", "failure": {failure}}}')

    served = EmbeddedOrchestrator(tmp_path).served()

    assert Release(3, Target("", "7"), ReleaseState.SERVING) == served.serving
    told = (served.wanted.release, served.wanted.target, served.wanted.failure.tries)
    assert (4, Target("", "8"), 2) == told
    assert 5 == EmbeddedOrchestrator(tmp_path).roll_out(Target("toys", "8"))
