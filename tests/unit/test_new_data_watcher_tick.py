"""What a tick of the new-data watcher decides, and that being killed anywhere changes nothing in the end."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.batches import Entry
from apps.common.exit_codes import Outcome
from apps.common.manifest import MANIFEST, Manifest, Part
from apps.new_data_watcher.figures import figures
from apps.new_data_watcher.tick import (
    MAX_LEFT_BEHIND,
    LandedBatch,
    LandingView,
    LeaveBatch,
    RefuseBatch,
    RetryLater,
    StartTraining,
    decide,
)
from apps.orchestrator.port import LONGEST_RETRY_S, MAX_CRASHES, Failure, TrainingState, TrainingStatus

NOW = 1_000_000.0
GRACE = 600.0


def manifest(content="1", **changes):
    """A good manifest of one part."""
    part = Part("part-0001.csv", 10, content[0] * 64)
    return replace(Manifest("cars", 5, "schema", "2026-01-01T00:00:00Z", (part,)), **changes)


def landed(name="cars-0001", content="1", age=0.0, **changes):
    """A complete batch in landing/."""
    return LandedBatch(Entry(name, NOW - age, True), manifest(content, **changes))


def half(name="cars-0001", age=0.0):
    """A batch without a manifest."""
    return LandedBatch(Entry(name, NOW - age, False), None, f"{MANIFEST} must be there, put in last; it is missing")


def view(*batches, used=None, trainings=None):
    """What a tick sees; ``trainings`` is content -> (state, attempts, batch, failure), ``used`` content -> batch."""
    hashes = {content: manifest(content).content_hash for content in "123456789"}
    return LandingView(
        dataset="cars",
        schema_hash="schema",
        now=NOW,
        hdfs_now=NOW,
        grace=GRACE,
        landed=batches,
        used={hashes[content]: batch for content, batch in (used or {}).items()},
        trainings={hashes[content]: TrainingStatus(*status) for content, status in (trainings or {}).items()},
    )


def failed(*outcomes, age=LONGEST_RETRY_S, batch="cars-0001", reason="it says why"):
    """A training whose tries ended so, the last one ``age`` seconds ago."""
    failure = None
    for outcome in outcomes:
        failure = Failure.after(failure, outcome, NOW - age, reason)
    return TrainingState.FAILED, len(outcomes), batch, failure


REFUSED, COULD_NOT, CRASHED = Outcome.REFUSED, Outcome.COULD_NOT, Outcome.CRASHED
START = StartTraining("cars-0001", manifest("1").content_hash)


def whole(_batch, _manifest):
    """Every batch is whole."""
    return []


def never(batch, _manifest):
    """No batch is to be verified."""
    raise AssertionError(batch)


def test_nothing_landed_nothing_to_do():
    """
    An empty landing/ is left alone.
    """
    assert [] == decide(view(), never)


def test_the_oldest_good_batch_is_trained_on():
    """
    Of two good batches the first is started, and the other waits unread.
    """
    read = []

    actions = decide(view(landed("cars-0001", "1"), landed("cars-0002", "2")), lambda name, _: read.append(name) or [])

    assert [StartTraining("cars-0001", manifest("1").content_hash)] == actions
    assert ["cars-0001"] == read


@pytest.mark.parametrize("state", [TrainingState.REQUESTED, TrainingState.RUNNING])
def test_nothing_is_verified_or_started_while_a_training_is_under_way(state):
    """
    One training at a time, and no byte is read meanwhile.
    """
    seen = view(landed("cars-0001", "1"), landed("cars-0002", "2"), trainings={"1": (state, 1, "cars-0001")})

    assert [] == decide(seen, never)


def test_nothing_is_started_while_the_training_of_a_used_batch_is_under_way():
    """
    A trainer that has moved its batch to used/ and still has the alias to set is not disturbed.
    """
    trainings = {"1": (TrainingState.RUNNING, 1, "cars-0001")}

    assert [] == decide(view(landed("cars-0002", "2"), used={"1": "cars-0001"}, trainings=trainings), never)


def test_a_batch_without_manifest_is_left_within_the_grace_time_and_later_ones_go_on():
    """
    It may still be being written; the next good batch does not wait for it.
    """
    wait, start = decide(view(half("cars-0001", age=GRACE - 1), landed("cars-0002", "2")), whole)

    assert isinstance(wait, LeaveBatch)
    assert StartTraining("cars-0002", manifest("2").content_hash) == start


def test_a_batch_without_manifest_is_refused_after_the_grace_time():
    """
    The reason says what is missing, for how long nothing changed, and what to do.
    """
    (refuse,) = decide(view(half(age=GRACE)), never)

    assert isinstance(refuse, RefuseBatch)
    assert f"{MANIFEST} must be there" in refuse.reason
    assert "600 s" in refuse.reason
    assert "drop it again" in refuse.reason


def test_a_batch_that_differs_from_its_manifest_is_left_then_refused_with_every_difference():
    """
    A part that is short may still be being written, until the grace time is over.
    """
    both = ["part-0001.csv must have 10 bytes; got 3", "part-0002.csv must be in the batch; it is missing"]

    (early,) = decide(view(landed(age=0)), lambda *_: both)
    (late,) = decide(view(landed(age=GRACE)), lambda *_: both)

    assert isinstance(early, LeaveBatch)
    assert isinstance(late, RefuseBatch)
    assert all(problem in late.reason for problem in both)


def test_a_batch_that_differs_does_not_hold_up_the_next_one():
    """
    While the first is waited for, the second is trained on.
    """
    batches = (landed("cars-0001", "1"), landed("cars-0002", "2"))

    actions = decide(view(*batches), lambda name, _: ["short"] if name == "cars-0001" else [])

    assert [LeaveBatch, StartTraining] == [type(action) for action in actions]
    assert "cars-0002" == actions[1].batch


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": 0}, "rows must be at least 1; got 0"),
        ({"parts": ()}, "parts must name at least one file"),
        ({"dataset": "boats"}, "dataset must be cars; got boats"),
        ({"schema_hash": "other"}, "schema_hash must be schema, the hash of the columns of cars; got other"),
        ({"parts": (Part("a/b.csv", 1, "1" * 64),)}, "got a/b.csv"),
        ({"parts": (Part("a.csv", 1, "xyz"),)}, "64 hex digits; got xyz"),
        ({"parts": (Part("a.csv", 1, "1" * 64), Part("a.csv", 1, "2" * 64))}, "a.csv must be named once; got 2 times"),
    ],
)
def test_a_manifest_that_breaks_the_contract_is_refused_at_once(changes, words):
    """
    Waiting would not mend it, so there is no grace time, and nothing is read.
    """
    (refuse,) = decide(view(landed(age=0, **changes)), never)

    assert isinstance(refuse, RefuseBatch)
    assert words in refuse.reason


def test_all_problems_of_a_manifest_are_reported_together():
    """
    Wrong dataset, no rows and a wrong schema are one refusal with three problems.
    """
    (refuse,) = decide(view(landed(dataset="boats", rows=0, schema_hash="x")), never)

    assert 2 == refuse.reason.count("; _manifest.json: ")


def test_the_same_content_as_a_used_batch_is_refused_and_names_it():
    """
    What was learned from once is not learned from again.
    """
    (refuse,) = decide(view(landed("cars-0009", "1"), used={"1": "cars-0001"}), never)

    assert isinstance(refuse, RefuseBatch)
    assert "same content as cars-0001" in refuse.reason


def test_of_two_batches_with_the_same_content_in_landing_the_second_waits_for_the_fate_of_the_first():
    """
    The first is trained on; the second is refused only when the first is used, since the first may yet be refused.
    """
    seen = view(landed("cars-0001", "1"), landed("cars-0002", "1"))

    assert [StartTraining("cars-0001", manifest("1").content_hash)] == decide(seen, whole)
    assert [LeaveBatch] == [
        type(action) for action in decide(seen, lambda name, _: ["short"] if name == "cars-0001" else [])
    ]


def test_a_name_that_is_used_already_is_refused():
    """
    Moving it to used/ later would fail, so it is told at once.
    """
    (refuse,) = decide(view(landed("cars-0001", "2"), used={"1": "cars-0001"}), never)

    assert "cars-0001 is used already" in refuse.reason


@pytest.mark.parametrize("name", ["cars 1", "cars[1]", "cars*", "größe"])
def test_a_name_that_spark_would_read_as_a_pattern_is_refused(name):
    """
    A batch's name becomes part of a path that Spark expands.
    """
    (refuse,) = decide(view(landed(name)), never)

    assert "a batch's name must have letters" in refuse.reason


@pytest.mark.parametrize("tries", range(1, MAX_CRASHES))
def test_a_batch_whose_training_crashed_is_started_again_after_a_wait(tries):
    """
    Up to three times in all; it keeps its place in the line meanwhile.
    """
    crashed = [CRASHED] * tries
    landing = (landed(), landed("cars-0002", "2"))

    (wait,) = decide(view(*landing, trainings={"1": failed(*crashed, age=1)}), never)
    assert isinstance(wait, RetryLater)
    assert "crashed" in wait.reason
    assert "it says why" in wait.reason
    assert [START] == decide(view(*landing, trainings={"1": failed(*crashed)}), whole)


def test_a_batch_whose_training_crashed_three_times_is_refused_and_the_next_one_goes_on():
    """
    One bad batch never stops the line; whoever refuses it is told that nobody found it at fault.
    """
    trainings = {"1": failed(*[CRASHED] * 3)}

    refuse, start = decide(view(landed(), landed("cars-0002", "2"), trainings=trainings), whole)

    assert isinstance(refuse, RefuseBatch)
    assert refuse.for_crashes
    assert "training crashed 3 times: it says why; see the log of the trainer" in refuse.reason
    assert "cars-0002" == start.batch


def test_a_batch_that_the_trainer_refused_is_refused_at_once_and_the_next_one_goes_on():
    """
    What is wrong with the batch itself does not get better by trying again.
    """
    refuse, start = decide(view(landed(), landed("cars-0002", "2"), trainings={"1": failed(REFUSED, age=0)}), whole)

    assert isinstance(refuse, RefuseBatch)
    assert not refuse.for_crashes
    assert "its training refused it: it says why" in refuse.reason
    assert "cars-0002" == start.batch


@given(st.lists(st.sampled_from([COULD_NOT, CRASHED]), min_size=1, max_size=40), st.floats(0, 2 * LONGEST_RETRY_S))
def test_a_batch_is_given_up_only_for_crashes_and_waits_at_most_five_minutes(outcomes, age):
    """
    However often its training could not be done, a batch is tried again: later and later, and alone.
    """
    trainings = {"1": failed(*outcomes, age=age)}

    (action, *more) = decide(view(landed(), landed("cars-0002", "2"), trainings=trainings), whole)

    if outcomes.count(CRASHED) >= MAX_CRASHES:
        assert isinstance(action, RefuseBatch)
        return
    wait = min(5 * 2 ** (len(outcomes) - 1), 300)
    assert not more
    assert action == START if NOW >= NOW - age + wait else isinstance(action, RetryLater)


def test_a_batch_that_a_good_training_leaves_in_landing_is_started_again():
    """
    Up to three times in all.
    """
    for attempts in range(1, MAX_LEFT_BEHIND):
        trainings = {"1": (TrainingState.SUCCEEDED, attempts, "cars-0001")}
        assert [START] == decide(view(landed(), trainings=trainings), whole)

    trainings = {"1": (TrainingState.SUCCEEDED, MAX_LEFT_BEHIND, "cars-0001")}
    (refuse,) = decide(view(landed(), trainings=trainings), never)

    assert "left the batch in landing 3 times" in refuse.reason


def test_content_that_failed_under_another_name_gets_tries_of_its_own():
    """
    Dropped again under a new name, a batch is tried again.
    """
    for outcomes in ([CRASHED] * 3, [REFUSED], [COULD_NOT]):
        assert [StartTraining("cars-0002", manifest("1").content_hash)] == decide(
            view(landed("cars-0002", "1"), trainings={"1": failed(*outcomes, age=0)}), whole
        )


def test_a_training_that_died_after_its_batch_was_used_is_finished_before_anything_new():
    """
    The batch is in used/ and the alias may not be set: that training is started again, the landed batch waits.
    """
    for outcome in (CRASHED, COULD_NOT):
        used = {"1": "cars-0001"}
        early = view(landed("cars-0002", "2"), used=used, trainings={"1": failed(outcome, age=0)})
        late = view(landed("cars-0002", "2"), used=used, trainings={"1": failed(outcome)})

        assert [RetryLater] == [type(action) for action in decide(early, never)]
        assert [START] == decide(late, never)


@pytest.mark.parametrize("outcomes", [[CRASHED] * 3, [REFUSED]])
def test_a_used_batch_whose_training_is_given_up_does_not_hold_up_the_next_one(outcomes):
    """
    It is told in the log, and the landed batch is trained on.
    """
    trainings = {"1": failed(*outcomes)}

    wait, start = decide(view(landed("cars-0002", "2"), used={"1": "cars-0001"}, trainings=trainings), whole)

    assert isinstance(wait, LeaveBatch)
    assert "it says why" in wait.reason
    assert "cars-0002" == start.batch


class World:
    """HDFS and the orchestrator as plain data; an action changes it as the real ones would, or dies before that."""

    def __init__(self, batches, troubles=()):
        """``batches`` are in landing/; each training takes the next of ``troubles``, an outcome or None."""
        self.landing = {batch.entry.name: batch for batch in batches}
        self.troubles = list(troubles)
        self.used, self.refused, self.trainings, self.starts = {}, {}, {}, []
        self.now = NOW

    def view(self):
        """What a tick sees."""
        seen = view(*(self.landing[name] for name in sorted(self.landing)))
        return replace(seen, now=self.now, used=self.used, trainings=self.trainings)

    def tick(self, survives):
        """One tick that is killed before its ``survives``-th action."""
        for action in decide(self.view(), lambda name, _: ["short"] if "torn" in name else [])[:survives]:
            if isinstance(action, RefuseBatch):
                self.refused[action.batch] = self.landing.pop(action.batch)
            elif isinstance(action, StartTraining):
                under_way = any(one.state is TrainingState.REQUESTED for one in self.trainings.values())
                if not under_way:
                    before = self.trainings.get(action.content_hash, TrainingStatus(TrainingState.ABSENT))
                    told = (before.attempts + 1, before.failure) if before.batch == action.batch else (1, None)
                    self.starts.append(action.batch)
                    self.trainings[action.content_hash] = TrainingStatus(
                        TrainingState.REQUESTED, told[0], action.batch, told[1]
                    )

    def train(self):
        """The trainer runs what was asked for; of a batch called cursed it always crashes."""
        for content_hash, status in self.trainings.items():
            if status.state is TrainingState.REQUESTED:
                trouble = self.troubles.pop(0) if self.troubles else None
                outcome = CRASHED if "cursed" in status.batch else trouble
                if outcome:
                    failure = Failure.after(status.failure, outcome, self.now)
                    self.trainings[content_hash] = replace(status, state=TrainingState.FAILED, failure=failure)
                    continue
                self.trainings[content_hash] = replace(status, state=TrainingState.SUCCEEDED, failure=None)
                if self.landing.pop(status.batch, None):
                    self.used[content_hash] = status.batch


OLD = 2 * GRACE
MIXED = [
    landed("cars-0001", "1", OLD),
    half("cars-0002", OLD),
    landed("cars-0003-cursed", "3", OLD),
    landed("cars-0004", "4", OLD),
    landed("cars-0005-torn", "5", OLD),
    landed("cars-0006-empty", "6", OLD, rows=0),
    landed("cars-0007-again", "1", OLD),
    landed("cars-0008", "8", OLD),
]


@given(
    st.lists(st.integers(min_value=0, max_value=3), max_size=12),
    st.lists(st.sampled_from([COULD_NOT, None]), max_size=12),
)
def test_killed_anywhere_and_run_again_the_end_state_is_the_same(kills, troubles):
    """
    Whatever ticks are killed before whatever action, and however often a training could not be done: good batches are
    used once each, in order, bad ones refused.
    """
    world = World(MIXED, troubles)

    for number in range(60):
        world.tick(survives=kills[number] if number < len(kills) else 99)
        world.train()
        world.now += LONGEST_RETRY_S

    assert {} == world.landing
    assert ["cars-0001", "cars-0004", "cars-0008"] == list(world.used.values())
    assert {"cars-0002", "cars-0003-cursed", "cars-0005-torn", "cars-0006-empty", "cars-0007-again"} == set(
        world.refused
    )
    assert ["cars-0001", "cars-0003-cursed", "cars-0004", "cars-0008"] == list(dict.fromkeys(world.starts))
    assert sorted(world.starts) == world.starts
    assert 3 == world.starts.count("cars-0003-cursed")


def test_a_platform_that_is_away_for_an_hour_is_asked_ever_more_rarely_and_then_all_goes_on():
    """
    Looking each five seconds, it starts a training some fifteen times in an hour, and no batch is lost.
    """
    world = World([landed("cars-0001", "1"), landed("cars-0002", "2")], [COULD_NOT] * 1000)
    for _ in range(720):
        world.tick(survives=99)
        world.train()
        world.now += 5

    assert {"cars-0001"} == set(world.starts)
    assert 12 <= len(world.starts) <= 20
    assert {} == world.refused

    world.troubles.clear()
    for _ in range(70):
        world.tick(survives=99)
        world.train()
        world.now += 5

    assert ["cars-0001", "cars-0002"] == list(world.used.values())


def test_what_the_tick_saw_is_told():
    """
    Batches by folder, trainings by state, and what waits by what it waits for.
    """
    seen = view(landed(), half("cars-0002"), used={"3": "cars-0003"}, trainings={"3": failed(Outcome.REFUSED)})
    waits = [LeaveBatch("cars-0002", "no manifest"), LeaveBatch("cars-0003", "used"), RetryLater("cars-0001", "soon")]

    told = {(one.family, *one.labels.values()): one.value for one in figures(seen, 4, waits)}

    assert (2, 1, 4) == tuple(told["baton_data_watcher_batches", place] for place in ("landing", "used", "refused"))
    kinds = ("files", "retry", "person")
    assert (1, 1, 1) == tuple(told["baton_data_watcher_waiting_batches", kind] for kind in kinds)
    assert (0, 1) == tuple(told["baton_data_watcher_trainings", state] for state in ("running", "failed"))
