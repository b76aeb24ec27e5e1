"""Status on stacks that are down or half dead, of which every service is a record or a process of the test."""

import json
import os
import time

import psutil
import pytest

from stack.cli.stack import Mode
from stack.cli.status import problems_of
from stack.embedded.process import Identity
from stack.embedded.supervisor.state import RunPlan, ServiceRecord, ServiceState, SupervisorRecords
from stack.runtime import GONE, ServiceStatus

NOBODY = Identity(2**22 - 3, 1.0)  # no process has this number and this time of birth


def write_records(state, **identities):
    """What a supervisor leaves: each service was ready with a process."""
    records = [
        ServiceRecord(name, ServiceState.READY, time.time(), pid=one.pid, created=one.created)
        for name, one in identities.items()
    ]
    SupervisorRecords(state).write_status(records, RunPlan(tuple(identities), {}))


def test_a_stack_that_is_down_says_how_it_is_started(checkout):
    """Nothing was ever started: exit code 3, and the command that starts it."""
    code, out, _ = checkout.run("status")

    assert 3 == code
    assert "! the stack is down; ./baton up starts it\n" == out


def test_after_a_restart_of_the_machine_status_says_so(checkout):
    """Every process is gone and nobody ran down: the reason is guessed at in words, and up is named."""
    write_records(checkout.keep("embedded"), supervisor=NOBODY, kafka=NOBODY)
    code, out, _ = checkout.run("status", "--json")
    known = json.loads(out)

    assert 3 == code
    assert ["was this machine restarted? ./baton up starts it again" in text for text in known["problems"]] == [True]
    assert {GONE} == {service["error"] for service in known["services"]}


def test_a_supervisor_that_is_gone_is_named_first(checkout):
    """A service runs and the supervisor does not: status says that up mends it, in a few seconds."""
    write_records(checkout.keep("embedded"), supervisor=NOBODY, postgres=Identity.of(psutil.Process(os.getpid())))
    code, out, _ = checkout.run("status")

    assert 3 == code
    assert "! the supervisor is gone, and what crashes stays down (1 services run on); mend it: ./baton up" in out


def test_a_stack_without_docker_is_told_by_its_cause(checkout):
    """Docker is away: cluster mode says that Docker must answer, and does not call the stack down."""
    checkout.keep("cluster")
    code, out, _ = checkout.run("status", "--mode", "cluster", DOCKER_HOST="unix:///nonexistent")

    assert 3 == code
    assert "Docker must answer" in out
    assert "./baton up --mode cluster" in out


@pytest.mark.parametrize(
    ("mode", "logs"), [(Mode.EMBEDDED, "./baton logs kafka"), (Mode.CLUSTER, "./baton logs kafka --mode cluster")]
)
def test_a_service_that_is_not_up_is_named_with_its_error(mode, logs):
    """What is starting again is a problem with its error and its log; what is up is none."""
    services = [
        ServiceStatus("supervisor", "ready", ("1",)),
        ServiceStatus("kafka", "crashed", error="no space left"),
        ServiceStatus("mlflow", "ready", ("2",)),
    ]
    problems = problems_of(services, mode)

    assert 1 == len(problems)
    assert problems[0].startswith("kafka is crashed: no space left; ")
    assert problems[0].endswith(logs)
