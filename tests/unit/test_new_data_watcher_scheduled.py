"""What a tick decides of the schedule, with a clock that is moved and ticks that are killed anywhere."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.batches import Entry
from apps.common.exit_codes import Outcome
from apps.common.manifest import Manifest, Part
from apps.common.schedule import Schedule, ScheduleMark, hash_of, instant_of, name_of
from apps.new_data_watcher.scheduled import MoveMark, scheduled
from apps.new_data_watcher.tick import (
    LandedBatch,
    LandingView,
    LeaveBatch,
    RefuseBatch,
    RetryLater,
    StartTraining,
    decide,
)
from apps.orchestrator.port import ABSENT, LONGEST_RETRY_S, Failure, TrainingState, TrainingStatus

HOURLY = Schedule("0 * * * *", "UTC")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MANIFEST = Manifest("cars", 5, "schema", "2026-01-01T00:00:00Z", (Part("part-0001.csv", 10, "1" * 64),))
LANDED = LandedBatch(Entry("cars-0002", 0.0, True), MANIFEST)
HALF = LandedBatch(Entry("cars-0002", NOON.timestamp(), False), None, "it has no manifest")


def start(instant):
    """What is asked for at an instant."""
    return StartTraining(name_of(instant), hash_of(name_of(instant)))


def view(now, mark=None, *landed, used=True, trainings=None, schedule=HOURLY):
    """What a tick sees; ``trainings`` is instant -> status without the name of the batch."""
    return LandingView(
        dataset="cars",
        schema_hash="schema",
        now=now.timestamp(),
        hdfs_now=NOON.timestamp(),
        grace=600.0,
        landed=landed,
        used={"0" * 64: "cars-0001"} if used else {},
        trainings={
            hash_of(name_of(instant)): replace(status, batch=name_of(instant))
            for instant, status in (trainings or {}).items()
        },
        schedule=schedule,
        mark=mark,
    )


def decided(seen):
    """What the tick does of the schedule."""
    return scheduled(seen, decide(seen, lambda *_: []))


def mark(until, missed=0):
    """A mark of the schedule."""
    return ScheduleMark(HOURLY, until, missed)


def failed(*outcomes, at):
    """A training whose tries ended so."""
    failure = None
    for outcome in outcomes:
        failure = Failure.after(failure, outcome, at.timestamp(), "it says why")
    return TrainingStatus(TrainingState.FAILED, len(outcomes), failure=failure)


RUNNING, DONE = TrainingStatus(TrainingState.RUNNING, 1), TrainingStatus(TrainingState.SUCCEEDED, 1)


def test_a_schedule_begins_when_it_is_first_seen_and_another_one_begins_anew():
    """
    What it would have asked for before is nothing that was missed.
    """
    assert [MoveMark(mark(NOON))] == decided(view(NOON))
    other = ScheduleMark(Schedule("0 2 * * *", "UTC"), NOON - 9 * HOUR, 4)
    assert [MoveMark(mark(NOON))] == decided(view(NOON, other))


def test_at_the_instant_a_training_is_asked_for_and_not_before():
    """
    The clock is moved from a second before it to it.
    """
    assert [] == decided(view(NOON + HOUR - timedelta(seconds=1), mark(NOON)))
    assert [start(NOON + HOUR)] == decided(view(NOON + HOUR, mark(NOON)))


@pytest.mark.parametrize("status", [RUNNING, DONE])
def test_an_instant_that_was_asked_for_is_noted_and_not_asked_for_twice(status):
    """
    The tick that asked was killed before it could note it; or its training is over since.
    """
    seen = view(NOON + HOUR, mark(NOON), trainings={NOON + HOUR: status})

    assert [MoveMark(mark(NOON + HOUR))] == decided(seen)
    assert [] == decided(replace(seen, mark=mark(NOON + HOUR)))


def test_an_instant_whose_training_nobody_remembers_is_not_asked_for_again():
    """
    Kubernetes keeps no Job for ever; the mark is kept.
    """
    assert [] == decided(view(NOON + HOUR, mark(NOON + HOUR)))


def test_one_training_makes_up_for_all_that_were_missed():
    """
    After five hours without a tick: the newest instant, and the mark says that four were missed.
    """
    late = NOON + 5.5 * HOUR

    assert [start(NOON + 5 * HOUR)] == decided(view(late, mark(NOON)))
    noted = decided(view(late, mark(NOON), trainings={NOON + 5 * HOUR: RUNNING}))
    assert [MoveMark(mark(NOON + 5 * HOUR, 4))] == noted


@pytest.mark.parametrize("state", [TrainingState.REQUESTED, TrainingState.RUNNING])
def test_nothing_is_asked_for_while_a_training_is_under_way(state):
    """
    Neither beside a scheduled one nor beside that of a batch; it is asked for when that has ended.
    """
    seen = view(NOON + 2 * HOUR, mark(NOON + HOUR), trainings={NOON + HOUR: TrainingStatus(state, 1)})
    assert [] == decided(seen)
    of_a_batch = {"0" * 64: TrainingStatus(state, 1, "cars-0001")}
    assert [] == decided(replace(seen, trainings=of_a_batch))

    assert [start(NOON + 2 * HOUR)] == decided(replace(seen, trainings={}))


def test_a_batch_that_waits_comes_first_and_half_a_batch_does_not_wait():
    """
    Also one that waits to be tried again; one that is still being written holds up no schedule.
    """
    due = view(NOON + HOUR, mark(NOON), LANDED)
    assert [] == decided(due)
    retried = {MANIFEST.content_hash: replace(failed(Outcome.COULD_NOT, at=NOON + HOUR), batch="cars-0002")}
    assert isinstance(decide(replace(due, trainings=retried), lambda *_: [])[0], RetryLater)
    assert [] == decided(replace(due, trainings=retried))

    assert [start(NOON + HOUR)] == decided(view(NOON + HOUR, mark(NOON), HALF))


def test_what_could_not_be_done_is_tried_again_in_its_time_and_before_the_next_instant():
    """
    It may have made its version already: it is finished, then the next instant is due.
    """
    first = {NOON + HOUR: failed(Outcome.COULD_NOT, at=NOON + 2 * HOUR)}
    (wait,) = decided(view(NOON + 2 * HOUR, mark(NOON + HOUR), trainings=first))
    assert (RetryLater, "could not be done: it says why" in wait.reason) == (type(wait), True)

    later = NOON + 2 * HOUR + timedelta(seconds=LONGEST_RETRY_S)
    assert [start(NOON + HOUR)] == decided(view(later, mark(NOON + HOUR), trainings=first))
    assert [start(NOON + 2 * HOUR)] == decided(view(later, mark(NOON + HOUR), trainings={NOON + HOUR: DONE}))


def test_an_instant_that_was_given_up_is_said_and_the_next_one_is_tried():
    """
    Three crashes end one instant, not the schedule.
    """
    given_up = {NOON + HOUR: failed(*[Outcome.CRASHED] * 3, at=NOON + HOUR)}
    (said,) = decided(view(NOON + 1.5 * HOUR, mark(NOON + HOUR), trainings=given_up))
    assert isinstance(said, LeaveBatch)
    assert "crashed 3 times" in said.reason

    _, asked = decided(view(NOON + 2 * HOUR, mark(NOON + HOUR), trainings=given_up))
    assert start(NOON + 2 * HOUR) == asked


def test_without_a_schedule_or_anything_to_train_on_nothing_is_decided():
    """
    A stack without a batch waits for its first one.
    """
    assert [] == decided(view(NOON + HOUR, mark(NOON), schedule=None))
    assert [] == decided(view(NOON + HOUR, mark(NOON), used=False))


def test_a_clock_that_was_set_back_asks_for_nothing_twice():
    """
    What was acted on stays so; the next instant is one after the mark.
    """
    assert [] == decided(view(NOON - 5 * HOUR, mark(NOON + HOUR), trainings={NOON + HOUR: DONE}))


@dataclass
class Simulated:
    """A stack whose ticks may be killed behind each of their actions; the test plays trainer and clock."""

    now: datetime = NOON
    mark: ScheduleMark | None = None
    trainings: dict[str, TrainingStatus] = field(default_factory=dict)
    landed: tuple[LandedBatch, ...] = ()
    asked: list[datetime] = field(default_factory=list)
    done: list[datetime] = field(default_factory=list)
    missed: dict[datetime, int] = field(default_factory=dict)

    def tick(self, actions_done):
        """A tick of a fresh watcher that is killed after so many actions."""
        seen = replace(view(self.now, self.mark, *self.landed), trainings=dict(self.trainings))
        of_batches = decide(seen, lambda *_: [])
        for action in [*of_batches, *scheduled(seen, of_batches)][:actions_done]:
            match action:
                case MoveMark(moved):
                    self.mark, self.missed[moved.until] = moved, moved.missed
                case StartTraining(batch, content_hash):
                    self.start(batch, content_hash)
                case RefuseBatch():
                    self.landed = ()

    def start(self, batch, content_hash):
        """As the port does it, which a watcher that is late cannot do otherwise."""
        assert not any(one.state.under_way for one in self.trainings.values())
        before = self.trainings.get(content_hash, ABSENT)
        self.trainings[content_hash] = TrainingStatus(
            TrainingState.REQUESTED, before.attempts + 1, batch, before.failure
        )
        if instant := instant_of(batch, content_hash):
            assert not self.landed
            self.asked.append(instant)

    def end(self, outcome):
        """The training that is under way ends so; None: it has done its work."""
        for content_hash, status in self.trainings.items():
            if status.state.under_way:
                instant = instant_of(status.batch, content_hash)
                if outcome:
                    failure = Failure.after(status.failure, outcome, self.now.timestamp())
                    self.trainings[content_hash] = replace(status, state=TrainingState.FAILED, failure=failure)
                else:
                    self.trainings[content_hash] = replace(status, state=TrainingState.SUCCEEDED, failure=None)
                    self.done += [instant] if instant else []
                    self.landed = self.landed if instant else ()

    def forget(self):
        """Kubernetes removes the Jobs of trainings that are over, but for the newest."""
        over = [key for key, status in self.trainings.items() if not status.state.under_way]
        for key in over[:-1]:
            del self.trainings[key]


EVENTS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 4 * 3600)),
    st.tuples(st.just("tick"), st.integers(0, 3)),
    st.tuples(st.just("tick"), st.just(9)),
    st.tuples(st.just("end"), st.sampled_from([None, None, *Outcome])),
    st.tuples(st.just("land"), st.none()),
    st.tuples(st.just("forget"), st.none()),
)


@given(st.lists(EVENTS, max_size=60))
def test_whatever_happens_and_whoever_is_killed_each_instant_is_trained_for_once_at_most(events):
    """
    In order, at no other time, never beside a training or before a batch; and none is lost: each is trained for or
    counted as missed.
    """
    stack = Simulated()
    stack.tick(9)
    for event, how in events:
        match event:
            case "wait":
                stack.now += timedelta(seconds=how)
            case "tick":
                stack.tick(how)
            case "end":
                stack.end(how)
            case "land" if MANIFEST.content_hash not in stack.trainings:
                stack.landed = (LANDED,)
            case "forget" if stack.mark and not stack.landed:
                stack.tick(1)  # a Job is kept for longer than a tick takes
                stack.forget()

    for seconds in (LONGEST_RETRY_S, LONGEST_RETRY_S, 0, 0):  # in the end all is well
        stack.now += timedelta(seconds=seconds)
        stack.end(None)
        stack.tick(9)

    assert stack.done == sorted(set(stack.done))
    assert stack.asked == sorted(stack.asked)
    assert set(stack.asked) <= set(HOURLY.between(NOON, stack.now))
    assert set(stack.asked) == stack.missed.keys() - {NOON}
    assert len(stack.missed) - 1 + sum(stack.missed.values()) == len(HOURLY.between(NOON, stack.mark.until))
