"""The supervisor's decisions, as functions of what it sees."""

import json
import os

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from apps.common.exit_codes import CRASHED, FAILED, REFUSED, Outcome
from apps.common.ready_file import heartbeat
from apps.common.target import Target
from apps.orchestrator.port import Release, ReleaseState
from stack.embedded.supervisor import loop
from stack.embedded.supervisor.backoff import FIRST_S, HEALTHY_S, LONGEST_S, Backoff
from stack.embedded.supervisor.ending import UNSEEN, Ending, crash, ending
from stack.embedded.supervisor.rollout_rules import FROZEN_S, READY_S, Action, Seen, next_action
from stack.embedded.supervisor.server import READY_FILE, ServerProcess
from stack.embedded.supervisor.service import SILENT_S, START_S, NextStep, error_text, next_step
from stack.embedded.supervisor.state import RunPlan, ServiceRecord, ServiceState, SupervisorRecords
from stack.logs import LOG_LIMIT, bound, last_lines, search, worst_line
from tests.toys import toy


def test_a_service_that_keeps_crashing_is_started_ever_more_rarely():
    """The wait doubles from half a second to ten, and stays there."""
    backoff = Backoff()

    assert [backoff.after_crash(0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


@given(st.lists(st.floats(0, HEALTHY_S * 2), min_size=1))
def test_a_healthy_stretch_makes_the_next_crash_the_first_one(stretches):
    """After half a minute of health the wait is the shortest again; it never leaves its bounds."""
    backoff = Backoff()
    waits = [backoff.after_crash(healthy) for healthy in stretches]

    assert all(FIRST_S <= wait <= LONGEST_S for wait in waits)
    assert all(wait == FIRST_S for wait, healthy in zip(waits, stretches, strict=True) if healthy >= HEALTHY_S)


SEEN = {"needs_ready": True, "due": True, "alive": True, "task": None, "waited": 1.0, "silent": 1.0}


@pytest.mark.parametrize(
    ("state", "seen", "step"),
    [
        (ServiceState.WAITING, {}, NextStep.PREPARE),
        (ServiceState.WAITING, {"needs_ready": False}, NextStep.NOTHING),
        (ServiceState.CRASHED, {"due": False}, NextStep.NOTHING),
        (ServiceState.CRASHED, {"alive": False}, NextStep.PREPARE),
        (ServiceState.PREPARING, {}, NextStep.NOTHING),
        (ServiceState.PREPARING, {"task": True}, NextStep.LAUNCH),
        (ServiceState.PREPARING, {"task": False}, NextStep.CRASH),
        (ServiceState.STARTING, {"task": True}, NextStep.MARK_READY),
        (ServiceState.STARTING, {"task": True, "alive": False}, NextStep.CRASH),
        (ServiceState.STARTING, {"task": False}, NextStep.PROBE),
        (ServiceState.STARTING, {"due": False}, NextStep.NOTHING),
        (ServiceState.STARTING, {"waited": START_S + 1}, NextStep.CRASH),
        (ServiceState.READY, {}, NextStep.NOTHING),
        (ServiceState.READY, {"needs_ready": False}, NextStep.NOTHING),
        (ServiceState.READY, {"alive": False}, NextStep.CRASH),
        (ServiceState.READY, {"silent": SILENT_S}, NextStep.NOTHING),
        (ServiceState.READY, {"silent": SILENT_S + 1}, NextStep.CRASH),
        (ServiceState.STARTING, {"silent": SILENT_S + 1}, NextStep.PROBE),
    ],
)
def test_a_service_takes_the_step_that_its_state_asks_for(state, seen, step):
    """It is prepared, started, asked whether it is ready, and started again when it dies."""
    assert step is next_step(state, **SEEN | seen)


def server(release, *, alive=True, ready=True, silent=1.0, tries=1):
    """A server as it looks now."""
    return Seen(release, alive=alive, ready=ready, silent=silent, tries=tries)


def wish(release, state=ReleaseState.STARTING):
    """A release that was asked for."""
    return Release(release, toy(f"v{release}"), state)


@pytest.mark.parametrize(
    ("serving", "following", "wanted", "action"),
    [
        (None, None, None, Action.RESTART),
        (server(0), None, None, Action.NOTHING),
        (server(0), None, wish(1), Action.BEGIN),
        (server(1), None, wish(1, ReleaseState.SERVING), Action.NOTHING),
        (server(1), None, wish(2, ReleaseState.FAILED), Action.NOTHING),
        (server(1, ready=False), None, wish(2), Action.NOTHING),
        (server(1, ready=False, tries=2), None, wish(2), Action.BEGIN),
        (server(1, ready=False, silent=READY_S + 1), None, None, Action.REPLACE),
        (server(1, silent=FROZEN_S), None, None, Action.NOTHING),
        (server(1, silent=FROZEN_S + 1), None, None, Action.REPLACE),
        (server(1, ready=False, silent=FROZEN_S + 1), None, None, Action.NOTHING),
        (server(1, silent=FROZEN_S + 1), server(2), wish(2), Action.SWITCH),
        (server(1, alive=False), None, wish(2), Action.RESTART),
        (server(1), server(2, ready=False), wish(2), Action.NOTHING),
        (server(1), server(2), wish(2), Action.SWITCH),
        (server(1, alive=False), server(2), wish(2), Action.SWITCH),
        (server(1, alive=False), server(2, ready=False), wish(2), Action.RESTART),
        (server(1), server(2), wish(3), Action.ABANDON),
        (server(1, alive=False), server(2), wish(3), Action.SWITCH),
        (server(1, alive=False), server(2, ready=False), wish(3), Action.ABANDON),
        (server(1), server(2, alive=False), wish(2), Action.FAIL),
        (server(1), server(2, ready=False, silent=READY_S + 1), wish(2), Action.FAIL),
    ],
)
def test_the_old_server_goes_only_when_the_new_one_is_ready(serving, following, wanted, action):
    """Make before break: begin beside, switch when ready, write down a failure; newer wishes overtake."""
    assert action is next_action(serving, following, wanted, due=True, next_due=True)


@pytest.mark.parametrize(("due", "action"), [(True, Action.BEGIN), (False, Action.NOTHING)])
def test_a_release_that_waits_is_begun_when_its_time_has_come(due, action):
    """A release is begun again after its wait, when what it needs is ready; the one that serves goes on."""
    assert action is next_action(server(1), None, wish(2), due=True, next_due=due)


servers = st.one_of(
    st.none(), st.builds(Seen, st.integers(0, 3), st.booleans(), st.booleans(), st.floats(0, 400), st.integers(1, 4))
)
wishes = st.one_of(st.none(), st.builds(wish, st.integers(1, 4), st.sampled_from(ReleaseState)))


@given(servers, servers, wishes, st.booleans(), st.booleans())
def test_no_sight_makes_it_leave_requests_to_a_server_that_is_not_ready(serving, following, wanted, due, next_due):
    """Whatever is seen, it switches only to a live server that said it is ready."""
    action = next_action(serving, following, wanted, due=due, next_due=next_due)

    assert action is not Action.SWITCH or (following.alive and following.ready)
    assert action is not Action.BEGIN or (wanted.state is not ReleaseState.FAILED and following is None and next_due)
    assert action is not Action.FAIL or not (following.alive and following.ready)


@pytest.mark.parametrize(
    ("code", "unwell", "expected"),
    [
        (REFUSED, set(), Ending(Outcome.REFUSED, "[error] rows must be at least 1")),
        (REFUSED, {"kafka"}, Ending(Outcome.REFUSED, "[error] rows must be at least 1")),
        (FAILED, set(), Ending(Outcome.COULD_NOT, "[error] rows must be at least 1")),
        (CRASHED, set(), Ending(Outcome.CRASHED, "[error] rows must be at least 1")),
        (-9, set(), Ending(Outcome.CRASHED, "ended by SIGKILL")),
        (
            -9,
            {"kafka", "mlflow"},
            Ending(Outcome.COULD_NOT, "ended by SIGKILL; not ready at that moment: kafka, mlflow"),
        ),
        (-15, set(), Ending(Outcome.COULD_NOT, "ended by SIGTERM")),
        (None, set(), Ending(Outcome.COULD_NOT, UNSEEN)),
    ],
)
def test_an_ending_is_judged_by_its_exit_code_its_own_lines_and_the_platform(tmp_path, code, unwell, expected):
    """A crash counts only when the platform was well; what an earlier process wrote is not the reason."""
    log = tmp_path / "trainer.log"
    log.write_text("[error] of a process before\n")
    start = log.stat().st_size
    log.write_text(f"{log.read_text()}[error] rows must be at least 1\nbye\n")

    assert expected == ending(code, log, start, unwell)
    assert f"exit code {CRASHED}" == ending(CRASHED, log, log.stat().st_size, set()).reason


def test_a_process_whose_time_is_over_has_crashed():
    """Unless what it waited for was not there."""
    assert Outcome.CRASHED is crash("not ready within 240 s", set()).outcome
    assert Outcome.COULD_NOT is crash("not ready within 240 s", {"kafka"}).outcome


def test_what_a_supervisor_writes_its_successor_reads(tmp_path):
    """SupervisorRecords and plan survive the way over the disk."""
    records = SupervisorRecords(tmp_path)
    plan = RunPlan(("kafka",), {"BATON_DATASET": "x"})
    written = (
        ServiceRecord("kafka", ServiceState.READY, 1.5, pid=1, created=2.5),
        ServiceRecord("trainer", ServiceState.WAITING, 2.0),
        ServiceRecord("prediction-server", ServiceState.READY, 3.0, release=1, target=toy("7"), folder="/x"),
    )
    records.write_plan(plan)
    records.write_status(written, plan)

    assert plan == SupervisorRecords(tmp_path).plan()
    assert (written, plan) == (SupervisorRecords(tmp_path).status().records, SupervisorRecords(tmp_path).status().plan)


@pytest.mark.parametrize(("version", "target"), [("7", Target("", "7")), ("", None), (None, None)])
def test_records_that_an_earlier_baton_wrote_are_read(tmp_path, version, target):
    """A server's record named a version only; one that waits for a first one, and every other service, named none."""
    old = {"service": "prediction-server", "state": "ready", "since": 1.5, "release": 3, "version": version}
    (tmp_path / "supervisor").mkdir()
    written = {"plan": {"services": [], "settings": {}}, "services": [old]}
    (tmp_path / "supervisor" / "status.json").write_text(json.dumps(written))

    (record,) = SupervisorRecords(tmp_path).status().records

    assert (3, target) == (record.release, record.target)


def test_a_record_of_a_dead_process_says_stopped():
    """Nobody writes down the death of a process whose supervisor is dead; who reads the record sees it."""
    record = ServiceRecord("kafka", ServiceState.READY, 1.5, pid=2**22 + 1, created=2.5)

    assert (record.as_found().state, record.as_found().pid) == (ServiceState.STOPPED, None)


def test_records_that_do_not_parse_count_as_none(tmp_path):
    """Half a file, left by a machine that lost power, does not stop the stack."""
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor" / "status.json").write_text('{"services": [')

    assert SupervisorRecords(tmp_path).status().records == ()


def test_the_worst_line_is_the_newest_that_names_an_error(tmp_path):
    """A crash is shown by the line that tells why, not by the trace below it."""
    log = tmp_path / "x.log"
    log.write_text("fine\njava.net.BindException: Address already in use\n\tat sun.nio.Error\nshutting down\n")

    assert worst_line(log) == "java.net.BindException: Address already in use"
    assert last_lines(log, 1) == ["shutting down"]
    assert worst_line(tmp_path / "none.log") == ""


def test_a_log_is_searched_from_where_the_process_began(tmp_path):
    """What an earlier process said does not make a later one ready, unless the log was begun anew."""
    log = tmp_path / "x.log"
    log.write_text("watching\n")

    assert search(log, 0, "watching")[0]
    assert not search(log, 9, "watching")[0]
    assert search(log, 9999, "watching")[0]
    assert (False, 0) == search(tmp_path / "none.log", 5, "watching")


@given(st.binary(max_size=40), st.integers(0, 40))
def test_a_search_reads_on_from_where_it_stopped(tmp_path_factory, said, cut):
    """However the log grows, the words are found when they are all there, though each look reads only what is new."""
    log = tmp_path_factory.mktemp("log") / "x.log"
    whole = said + b"ready" + said
    offset, found = 0, False
    for end in (cut, cut + 2, len(whole), len(whole)):
        log.write_bytes(whole[:end])
        found, offset = search(log, offset, "ready")
        assert found == (b"ready" in whole[:end])
        assert offset >= min(end, whole.index(b"ready")) - len("ready") + 1


def test_a_log_that_grew_too_long_is_cut_and_its_old_part_kept(tmp_path):
    """Who writes to it goes on at its new beginning; what was before is kept until the next cut; short logs stay."""
    log, short = tmp_path / "kafka.log", tmp_path / "mlflow.log"
    short.write_bytes(b"short\n")
    with log.open("ab", buffering=0) as service:
        for said in (b"first\n", b"second\n"):
            service.write(said * 100)
            bound(tmp_path, limit=500)
            service.write(b"going on\n")

            assert b"going on\n" == log.read_bytes()
            assert said in (tmp_path / "kafka.log.1").read_bytes()

    assert b"short\n" == short.read_bytes()
    assert not (tmp_path / "mlflow.log.1").exists()
    assert b"first" not in (tmp_path / "kafka.log.1").read_bytes()


def test_a_supervisor_bounds_the_logs_of_a_stack_that_runs(tmp_path, monkeypatch):
    """No restart of a service is needed, and no service either."""
    monkeypatch.setattr(loop, "BOUND_LOGS_EVERY_S", 0)
    log = tmp_path / "logs" / "kafka.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    looks = iter([False, False, True])

    loop.Supervisor(tmp_path).run(lambda: next(looks))

    assert 0 == log.stat().st_size


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (requests.ConnectionError, "no connection to http://127.0.0.1:1/health"),
        (requests.ConnectTimeout, "no answer in time from http://127.0.0.1:1/health"),
        (ValueError, "as it is"),
    ],
)
def test_a_failed_probe_is_told_by_what_a_person_can_use(kind, text):
    """The address that did not answer, not the innards of the HTTP client; any other error as it is."""
    request = requests.Request("GET", "http://127.0.0.1:1/health?q=1").prepare()
    error = kind("as it is") if kind is ValueError else kind("Max retries exceeded", request=request)

    assert text == error_text(error)


def test_the_newest_lines_are_whole(tmp_path):
    """
    A line whose beginning lies before the part that is read is left out; a log that is read from its beginning is
    shown from its first line, and one line that is longer than that part is better than none.
    """
    log = tmp_path / "a.log"
    log.write_text("first\nsecond\nthird\n")

    assert ["first", "second", "third"] == last_lines(log, 9)
    assert ["third"] == last_lines(log, 9, size=9)
    assert ["ird"] == last_lines(log, 9, size=4)


def test_a_heartbeat_that_changes_is_a_sign_of_life(tmp_path, monkeypatch):
    """A file that stays as it is counts for nothing, whatever its time says: a clock may be set."""
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("stack.embedded.supervisor.sign_of_life.time.monotonic", lambda: next(clock))
    process = ServerProcess(ServiceRecord("server", ServiceState.READY, 0, folder=str(tmp_path)), None)
    beat = heartbeat(tmp_path / READY_FILE)

    started = [process.seen().silent for _ in range(2)]
    beat.touch()
    first = process.seen().silent
    stale = [process.seen().silent for _ in range(2)]
    os.utime(beat, (0, 0))

    assert [10, 20] == started
    assert (10, [20, 30]) == (first, stale)
    assert 10 == process.seen().silent
