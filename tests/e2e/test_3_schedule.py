"""A schedule trains on what is there, once an instant, beside the batches that land."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from apps.common.schedule import Schedule
from apps.common.waiting import wait_until
from stack.cli import status

MINUTELY = Schedule("* * * * *", "UTC")
SOON_S = 480  # two trainings, a minute's wait before each, and in a cluster the time until a pod runs


@pytest.fixture(scope="module")
def scheduled(stack, first_version):
    """The stack, with a training due each minute, while the module runs."""
    told = {name: value for name, value in stack.settings.items() if name != "BATON_DATASET"}
    stack.down()
    stack.up("used_cars", None, **{**told, "BATON_SCHEDULE": MINUTELY.text})
    yield stack
    stack.down()
    stack.up("used_cars", None, **told)


def instants(pipeline):
    """The instant of each version that a schedule has begun, oldest version first; how many each made up for."""
    told = (version.tags for version in pipeline.versions() if version.tags.get("reason") == "schedule")
    return [(datetime.fromisoformat(tags["scheduled_for"]), int(tags["missed"])) for tags in told]


@pytest.mark.faults
def test_each_instant_is_trained_for_once_or_counted_as_missed(scheduled, pipeline):
    """
    Two trainings at least, each of another minute that has come; what lies between them is what the later one counts.

    No batch is moved or refused for them, and status tells when the next one is due.
    """
    begun = datetime.now(UTC)
    used, refused = pipeline.store.names("used"), pipeline.store.names("refused")

    wait_until(lambda: len(instants(pipeline)) >= 2, SOON_S, lambda: f"{instants(pipeline)} are too few")
    told = status.snapshot(scheduled)["schedule"]
    found = instants(pipeline)

    moments = [instant for instant, _ in found]
    assert moments == sorted(set(moments))
    assert moments[-1] <= datetime.now(UTC)
    for (before, _), (instant, missed) in pairwise(found):
        assert missed == len(MINUTELY.between(before, instant)) - 1
    assert (used, refused) == (pipeline.store.names("used"), pipeline.store.names("refused"))
    assert ("* * * * *", "UTC") == (told["schedule"], told["zone"])
    assert datetime.fromisoformat(told["next"]) > begun


@pytest.mark.faults
def test_a_batch_is_trained_on_beside_the_schedule(scheduled, pipeline):
    """
    It waits for the training under way and goes before the next instant; one that the gate lets through serves.
    """
    version = pipeline.wait_for_version_trained_on(pipeline.drop_batch())

    (made,) = (one for one in pipeline.versions() if one.version == version)
    assert "reason" not in made.tags
