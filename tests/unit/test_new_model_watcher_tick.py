"""What a tick of the new-model watcher decides, and what it says; the orchestrator's files are the real ones."""

import pytest
import structlog

from apps.common.errors import Unavailable
from apps.common.exit_codes import Outcome
from apps.common.registry import Version
from apps.common.target import Target
from apps.new_model_watcher.tick import GivenUp, RollOut, decide
from apps.new_model_watcher.watcher import NewModelWatcher
from apps.orchestrator.embedded import EmbeddedOrchestrator
from apps.orchestrator.port import Release, ReleaseState, Served
from tests.toys import toy

SERVING, STARTING, FAILED = ReleaseState.SERVING, ReleaseState.STARTING, ReleaseState.FAILED


@pytest.mark.parametrize(
    ("champion", "served", "action"),
    [
        (None, Served(None, None), None),
        (None, Served(Release(1, toy("1"), SERVING), Release(1, toy("1"), SERVING)), None),
        ("1", Served(None, None), RollOut(toy("1"))),
        ("1", Served(None, Release(1, toy("1"), STARTING)), None),
        ("1", Served(Release(1, toy("1"), SERVING), Release(1, toy("1"), SERVING)), None),
        ("2", Served(Release(1, toy("1"), SERVING), Release(1, toy("1"), SERVING)), RollOut(toy("2"))),
        ("2", Served(Release(1, toy("1"), SERVING), Release(2, toy("2"), STARTING)), None),
        ("3", Served(Release(1, toy("1"), SERVING), Release(2, toy("2"), STARTING)), RollOut(toy("3"))),
        ("1", Served(Release(2, toy("2"), SERVING), Release(2, toy("2"), SERVING)), RollOut(toy("1"))),
        ("2", Served(Release(1, toy("1"), SERVING), Release(2, toy("2"), FAILED)), GivenUp(toy("2"), 2)),
        ("1", Served(Release(1, toy("1"), SERVING), Release(2, toy("2"), FAILED)), RollOut(toy("1"))),
    ],
    ids=[
        "no version yet",
        "alias taken away",
        "first version",
        "first release under way",
        "done",
        "new version",
        "roll-out under way",
        "overtaken by a newer version",
        "rolled back",
        "failed, alias unmoved",
        "failed, alias moved back",
    ],
)
def test_what_serves_follows_the_alias(champion, served, action):
    """
    A roll-out is asked for when, and only when, the newest release is not of the champion's version.
    """
    assert action == decide(champion and toy(champion), served)


@pytest.mark.parametrize("state", [SERVING, STARTING, FAILED])
@pytest.mark.parametrize(
    "champion",
    [
        Target("toys", "1", "another run", "a" * 64),
        Target("toys", "1", "run", "b" * 64),
        Target("cars", "1", "run", "a" * 64),
    ],
    ids=["a model that was begun again", "another manifest", "another dataset"],
)
def test_a_version_is_more_than_its_number(champion, state):
    """
    A champion of the same number that is another model's, another run's or of other files is rolled out as a release.
    """
    release = Release(1, Target("toys", "1", "run", "a" * 64), state)

    assert RollOut(champion) == decide(champion, Served(release, release))


class AliasHistory:
    """A watcher on real state files, an alias that the test moves, and the lines that were logged."""

    def __init__(self, folder):
        """No version exists."""
        self.orchestrator = EmbeddedOrchestrator(folder)
        self.alias = None
        self.log = structlog.testing.CapturingLogger()
        self.watcher = self.fresh_watcher()

    def fresh_watcher(self):
        """As after a restart."""
        return NewModelWatcher(
            champion=lambda: self.alias and Version("toys", self.alias, f"run of {self.alias}", {}),
            orchestrator=self.orchestrator,
            log=self.log,
        )

    def tick(self, alias, then=None):
        """The alias points there, the watcher ticks, and the newest release gets that far."""
        self.alias = alias
        self.watcher.tick()
        if then:
            self.orchestrator.mark_release(self.orchestrator.wanted_release(), then)

    def lines(self):
        """The kinds of the lines logged."""
        return [call.method_name for call in self.log.calls]


@pytest.fixture
def history(tmp_path):
    """A fresh history."""
    return AliasHistory(tmp_path)


def test_a_failed_version_is_reported_once_and_not_tried_again_until_the_alias_moves(history):
    """
    One error for many ticks; another release only after the alias has pointed elsewhere and back.
    """
    history.tick("1", then=SERVING)
    history.tick("2", then=FAILED)
    for _ in range(5):
        history.tick("2")

    assert ["info", "info", "error"] == history.lines()
    assert 2 == history.orchestrator.wanted_release().release

    history.tick("1", then=SERVING)
    history.tick("2", then=SERVING)

    assert Release(4, toy("2"), SERVING) == history.orchestrator.served().serving


def test_a_watcher_that_is_started_again_asks_for_nothing_twice(history):
    """
    What was asked for is in the orchestrator, not in the watcher.
    """
    for _ in range(3):
        history.tick("1")
        history.watcher = history.fresh_watcher()

    assert 1 == history.orchestrator.wanted_release().release
    assert ["info"] == history.lines()


def test_idle_ticks_say_nothing(history):
    """
    One line for a decision, none while nothing changes.
    """
    history.tick("1", then=SERVING)
    for _ in range(10):
        history.tick("1")

    assert ["info"] == history.lines()


def test_a_version_that_is_refused_is_reported_with_the_reason(history):
    """
    The line in the log says why the champion does not serve.
    """
    history.tick("1")
    history.orchestrator.fail_release(1, Outcome.REFUSED, "golden rows differ")
    history.tick("1")

    assert "golden rows differ" == history.log.calls[-1].kwargs["reason"]


def test_a_version_that_could_not_start_is_still_wanted_and_not_asked_for_again(history):
    """
    Whoever runs the server tries again by itself; the watcher has nothing to do and to say.
    """
    history.tick("1", then=SERVING)
    history.tick("2")
    history.orchestrator.fail_release(2, Outcome.COULD_NOT, "MLflow must answer")
    for _ in range(5):
        history.tick("2")

    assert ["info", "info"] == history.lines()
    assert 2 == history.orchestrator.wanted_release().release


def test_a_release_of_an_earlier_baton_is_asked_for_again_by_its_names(history):
    """
    Its state file knows the version alone; the next release says of which model and run it is, and that is all.
    """
    history.tick("1", then=SERVING)
    folder = history.orchestrator._files.folder  # noqa: SLF001
    (folder / "release.json").unlink()
    (folder / "served.json").write_text('{"release": 1, "version": "1", "state": "serving", "failure": null}')

    for _ in range(3):
        history.tick("1", then=SERVING)

    assert Release(2, toy("1"), SERVING) == history.orchestrator.served().serving


def told(watcher):
    """Family and labels -> value, of the last tick."""
    return {(one.family, *one.labels.values()): one.value for one in watcher.told}


def test_what_the_watcher_saw_is_told_and_a_run_is_asked_for_its_metrics_once(history):
    """
    Behind until the champion serves; of its run the errors on the test rows and the counts of rows, nothing else.
    """
    asked = []
    history.watcher = NewModelWatcher(
        history.watcher.champion,
        history.orchestrator,
        history.log,
        metrics=lambda run: asked.append(run) or {"test_rmse": 9.5, "batch_rows": 40, "live_rmse": 1, "cv_mae": 2},
    )
    history.tick(None)
    assert {("baton_model_watcher_info", "", "", ""): 1, ("baton_model_watcher_behind",): 0} == told(history.watcher)

    history.tick("1", then=SERVING)
    assert 1 == told(history.watcher)["baton_model_watcher_behind",]
    history.tick("1")

    assert told(history.watcher) == {
        ("baton_model_watcher_info", "1", "1", "serving"): 1,
        ("baton_model_watcher_behind",): 0,
        ("baton_champion_metric", "1", "test_rmse"): 9.5,
        ("baton_champion_metric", "1", "batch_rows"): 40,
    }
    assert ["run of 1"] == asked


def test_metrics_that_cannot_be_had_delay_no_roll_out(history):
    """
    The release is asked for before the registry is asked what a person might like to know.
    """

    def away(_):
        raise Unavailable("MLflow must answer")

    history.watcher = NewModelWatcher(history.watcher.champion, history.orchestrator, history.log, metrics=away)
    with pytest.raises(Unavailable):
        history.tick("1")

    assert toy("1").version == history.orchestrator.wanted_release().target.version
