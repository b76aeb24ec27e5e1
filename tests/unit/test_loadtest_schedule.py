"""The schedule of a load: what is due by the clock, and what of it could be sent."""

from loadtest.schedule import LoadSchedule, LoadTally


def taken(schedule, now, rate):
    """All that can be taken at a moment."""
    return list(iter(lambda: schedule.take(now, rate), None))


def test_what_is_due_waits_in_order_however_late_the_sender_is():
    """A sender that looks again after a second has the moments at which each was due, by the rates of the time."""
    schedule = LoadSchedule(100.0)

    assert [100.0, 100.25, 100.5, 100.75, 101.0] == taken(schedule, 101.0, 4)
    assert [101.25, 101.75] == taken(schedule, 102.0, 2)
    assert (LoadTally(7, 7), 0.125) == (schedule.tally, schedule.pause(102.125, 1))


def test_what_a_sender_cannot_send_is_due_all_the_same():
    """One request a second of 100 that are due: when the time is over the rest is never sent, and is counted."""
    schedule = LoadSchedule(0.0)
    for second in range(1, 6):
        schedule.take(second, 100)

    assert [] == taken(schedule, 5.2, 0)
    assert LoadTally(501, 5) == schedule.tally
    assert 0.01 == schedule.pause(5.2, 0.01)


def test_what_is_behind_by_moments_when_the_time_is_over_is_sent():
    """A punctual client looks each few milliseconds, and owes nothing because the end came in between."""
    schedule = LoadSchedule(0.0)
    schedule.take(0.5, 10)

    assert 5 == len(taken(schedule, 0.6, 0))
    assert LoadTally(6, 6) == schedule.tally
