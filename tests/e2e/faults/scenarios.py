"""
The fault table: what is done to a stack under traffic, and for how long answers may be silent then.

Each scenario is a function that does it and returns when all is well again. No acknowledged request may stay
unanswered, whatever it does.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.common.exit_codes import Outcome
from apps.common.waiting import pause, wait_until
from apps.orchestrator.port import ReleaseState
from apps.prediction_server.progress_rules import BEGIN_S
from apps.trainer.found_batch import UNNAMED
from loadtest.traffic import LiveLedger
from stack.cli.pipeline import Pipeline
from stack.cli.stack import Mode
from stack.cli.status import snapshot
from tests.e2e.faults import damage

SERVER, KAFKA = "prediction-server", "kafka"
STARTS_S = 120  # until a watcher has looked and a server starts
SETTLES_S = 240
AWAY_S = 60


@dataclass(frozen=True)
class Ground:
    """What a scenario is played on; two versions at least are registered, and one of them serves."""

    stack: Any
    faults: Any
    pipeline: Pipeline
    ledger: LiveLedger
    folder: Path  # for what is temporary

    def other_version(self) -> str:
        """A registered version that does not serve, the newest of these."""
        served = self.pipeline.served_version()
        return next(one.version for one in reversed(self.pipeline.versions()) if one.version != served)

    def served_by(self, version: str) -> None:
        """Wait until a version serves, nothing else is asked for, and it has answered."""

        def settled() -> bool:
            state = self.pipeline.served()
            return state.serving == state.wanted and state.serving.version == version

        wait_until(settled, SETTLES_S, lambda: f"version {version} must serve: {self.pipeline.served()}")
        self.ledger.wait_until_answered_by(version)

    def starting(self) -> Any:
        """Wait for the server that starts beside the one that serves; return its instance."""
        return wait_until(self.faults.next_server, STARTS_S, "no server starts beside the one that serves", every=0.1)

    def roll_out(self) -> tuple[str, Any]:
        """Roll another version out; return it, and the instance of its server that starts."""
        version = self.other_version()
        self.pipeline.move_champion(version)
        return version, self.starting()

    def kill(self, *services: str, keeper: bool = False) -> None:
        """Kill services, then what keeps them running if that is wanted; wait until all are back."""
        killed = {name: self.faults.kill(name) for name in services}
        if keeper:
            self.faults.kill_keeper()
        for service, old in killed.items():
            self.faults.wait_until_back(service, old)


@dataclass(frozen=True)
class Scenario:
    """
    One line of the table.

    ``within_s`` bounds the longest silence of a partition. It is part of every run in the modes in which it is
    ``usual``, in others of ``--faults``; one that is not ``in_cluster`` is shown in embedded mode alone.
    """

    play: Callable[[Ground], None]
    within_s: float
    usual: Collection[Mode] = ()
    in_cluster: bool = True
    broker_stops: bool = False

    @property
    def name(self) -> str:
        """What is done, in words."""
        return self.play.__name__.replace("_", " ")


SCENARIOS: list[Scenario] = []


def scenario(within_s: float, **more: Any) -> Callable[[Callable[[Ground], None]], Callable[[Ground], None]]:
    """Enter a function into the table; ``more`` are the other fields of its line."""

    def enter(play: Callable[[Ground], None]) -> Callable[[Ground], None]:
        SCENARIOS.append(Scenario(play, within_s, **more))
        return play

    return enter


@scenario(90, usual=Mode)
def the_server_is_killed(ground: Ground) -> None:
    """It is started again."""
    ground.kill(SERVER)


@scenario(90, usual=Mode, broker_stops=True)
def the_broker_is_killed(ground: Ground) -> None:
    """It is started again, and finds its log."""
    ground.kill(KAFKA)


@scenario(120, usual=[Mode.EMBEDDED])
def the_servers_java_is_frozen(ground: Ground) -> None:
    """Its process lives and answers nothing: it notices by itself, and whoever started it starts it anew."""
    pause(BEGIN_S)  # a stream that has just begun may be silent for as long
    ground.faults.wait_until_back(SERVER, ground.faults.freeze_jvm(SERVER))


@scenario(120)
def the_whole_server_is_frozen(ground: Ground) -> None:
    """It cannot notice anything: others do."""
    frozen = ground.faults.instance(SERVER)
    ground.faults.wait_until_back(SERVER, ground.faults.send(frozen, "SIGSTOP"))


@scenario(90, broker_stops=True)
def the_broker_is_ended_in_order(ground: Ground) -> None:
    """As an upgrade of it would."""
    ended = ground.faults.instance(KAFKA)
    ground.faults.wait_until_back(KAFKA, ground.faults.send(ended, "SIGTERM"))


@scenario(AWAY_S + 60, in_cluster=False, broker_stops=True)
def nobody_reaches_the_broker_for_a_minute(ground: Ground) -> None:
    """It takes connections and answers nothing, as behind a network that lost every packet."""
    frozen = ground.faults.instance(KAFKA)
    ground.faults.send(frozen, "SIGSTOP")
    pause(AWAY_S)
    ground.faults.send(frozen, "SIGCONT")
    ground.ledger.wait_until_answered_by(ground.pipeline.served_version(), STARTS_S)


@scenario(10)
def a_version_is_rolled_out(ground: Ground) -> None:
    """Nothing breaks."""
    version = ground.other_version()
    ground.pipeline.move_champion(version)
    ground.served_by(version)


@scenario(10)
def the_alias_moves_three_times_in_ten_seconds(ground: Ground) -> None:
    """The last word counts."""
    before, version = ground.pipeline.served_version(), ground.other_version()
    for one in (version, before, version):
        ground.pipeline.move_champion(one)
        pause(4)
    ground.served_by(version)


@scenario(10)
def a_roll_out_is_taken_back_while_it_starts(ground: Ground) -> None:
    """What served serves on, or again."""
    before = ground.pipeline.served_version()
    ground.roll_out()
    pause(3)
    ground.pipeline.move_champion(before)
    ground.served_by(before)


@scenario(10)
def the_new_server_is_killed_before_it_answers(ground: Ground) -> None:
    """It is started again."""
    version, starting = ground.roll_out()
    pause(5)
    ground.faults.send(starting, "SIGKILL")
    ground.served_by(version)


@scenario(90)
def the_new_server_is_killed_as_it_begins_to_answer(ground: Ground) -> None:
    """The old one is leaving, or has left."""
    version, starting = ground.roll_out()
    ground.ledger.wait_until_answered_by(version, SETTLES_S)
    ground.faults.send(starting, "SIGKILL")
    pause(5)
    ground.served_by(version)


@scenario(60)
def the_old_server_is_frozen_across_the_switch_and_woken(ground: Ground) -> None:
    """Where it wakes after all, it must not answer as if nothing had been."""
    old = ground.faults.instance(SERVER)
    version, _ = ground.roll_out()
    pause(5)
    ground.faults.send(old, "SIGSTOP")
    ground.served_by(version)
    ground.faults.send(old, "SIGCONT")
    pause(5)


@scenario(10)
def hdfs_is_killed_while_nobody_needs_it(ground: Ground) -> None:
    """Serving needs no HDFS."""
    ground.kill("namenode", "datanode")


@scenario(10)
def mlflow_and_its_database_are_killed_in_a_roll_out(ground: Ground) -> None:
    """It is delayed."""
    version, _ = ground.roll_out()
    ground.kill("postgres", "mlflow")
    ground.served_by(version)


@scenario(10)
def the_watchers_and_their_keeper_are_killed_in_a_roll_out(ground: Ground) -> None:
    """Their successors go on with it."""
    version, _ = ground.roll_out()
    ground.kill("new-data-watcher", "new-model-watcher", keeper=True)
    ground.served_by(version)


@scenario(15)
def a_batch_is_trained_on_and_rolled_out(ground: Ground) -> None:
    """A training takes what it gets of the machine, under full traffic."""
    version = ground.pipeline.wait_for_version_trained_on(ground.pipeline.drop_batch())
    ground.served_by(version)


@scenario(15)
def hdfs_is_killed_while_a_training_writes_its_rows(ground: Ground) -> None:
    """It is delayed, and loses no row."""
    batch, store = ground.pipeline.drop_batch(), ground.pipeline.store
    rows = store.folder("train-sets", f"{UNNAMED}{batch.content_hash}")
    wait_until(lambda: store.exists(rows), SETTLES_S, "no training writes the rows of the batch", every=0.1)
    ground.kill("datanode", "namenode")
    ground.served_by(ground.pipeline.wait_for_version_trained_on(batch))


def _refused(ground: Ground, harm: Callable[[Path], None], reason: str) -> None:
    """A damaged version becomes champion: what served serves on, and status says why, until the alias is moved back."""
    before = ground.pipeline.served_version()
    with damage.registered(ground.pipeline, ground.folder / f"damaged-{time.time_ns()}", harm) as version:
        ground.pipeline.move_champion(version)

        def refused() -> bool:
            wanted = ground.pipeline.served().wanted
            return wanted.version == version and wanted.state is ReleaseState.FAILED

        wait_until(refused, SETTLES_S, lambda: f"version {version} must be refused: {ground.pipeline.served()}")
        state, said = ground.pipeline.served(), str(snapshot(ground.stack)["wanted"])
        ground.pipeline.move_champion(before)
    assert before == state.serving.version
    assert Outcome.REFUSED is state.wanted.failure.outcome, state
    assert reason in said, said
    ground.served_by(before)


@scenario(10)
def a_model_with_one_byte_changed_is_refused(ground: Ground) -> None:
    """Its files are not those of its manifest."""
    _refused(ground, damage.change_a_byte, "must have sha256")


@scenario(10)
def a_model_with_a_file_cut_short_is_refused(ground: Ground) -> None:
    """Its files are not those of its manifest."""
    _refused(ground, damage.cut_short, "must have sha256")


@scenario(10)
def a_model_with_a_foreign_class_is_refused(ground: Ground) -> None:
    """Its manifest vouches for it; its class is not Spark ML's own."""
    _refused(ground, damage.name_a_foreign_class, "class")


@scenario(10)
def a_model_that_reads_another_column_is_refused(ground: Ground) -> None:
    """Its contract names a column that nobody declared."""
    _refused(ground, damage.read_another_column, "golden row")


@scenario(10)
def a_model_that_predicts_another_value_is_refused(ground: Ground) -> None:
    """It is not what its training tested."""
    _refused(ground, damage.expect_another_value, "golden row")
