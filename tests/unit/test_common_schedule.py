"""When a scheduled training is due, at a change of the clocks too, and how a mark and a name tell of it."""

from datetime import UTC, datetime, timedelta
from itertools import chain, islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.common.schedule import (
    Schedule,
    ScheduleMark,
    cron_problem,
    hash_of,
    instant_of,
    name_of,
    schedule_of,
    zone_problem,
)

BERLIN = "Europe/Berlin"
NIGHTLY = Schedule("30 2 * * *", BERLIN)
TEXTS = ("* * * * *", "*/7 * * * *", "0 * * * *", "30 2 * * *", "0,30 1-3 * * *", "5 0 1 * *", "15 2 * * SUN")
ZONES = ("UTC", BERLIN, "America/New_York", "America/Havana", "Africa/Cairo", "Asia/Kolkata")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 2 * 365 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds))


def utc(*parts):
    """A moment."""
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after", "until", "instants"),
    [
        ("30 2 * * *", utc(2026, 3, 28, 12), utc(2026, 3, 30, 12), [utc(2026, 3, 29, 1), utc(2026, 3, 30, 0, 30)]),
        (
            "30 2 * * *",
            utc(2026, 10, 24, 12),
            utc(2026, 10, 26, 12),
            [utc(2026, 10, 25, 0, 30), utc(2026, 10, 26, 1, 30)],
        ),
        ("30 2 * * *", utc(2026, 10, 25, 1, 15), utc(2026, 10, 25, 12), []),
        ("0,30 2 * * *", utc(2026, 3, 28, 12), utc(2026, 3, 29, 12), [utc(2026, 3, 29, 1)]),
        ("0 * * * *", utc(2026, 3, 28, 23, 30), utc(2026, 3, 29, 2), [utc(2026, 3, 29, hour) for hour in range(3)]),
        ("0 * * * *", utc(2026, 10, 24, 23, 30), utc(2026, 10, 25, 2), [utc(2026, 10, 25, hour) for hour in range(3)]),
    ],
    ids=[
        "spring",
        "autumn",
        "asked in the hour that comes twice",
        "both in the gap",
        "hourly: spring",
        "hourly: autumn",
    ],
)
def test_at_a_change_of_the_clocks_an_instant_comes_once(text, after, until, instants):
    """
    2:30 that does not exist is 3:00, of 2:30 twice it is the first; what is hourly goes by the hours that pass.
    """
    assert instants == Schedule(text, BERLIN).between(after, until)


@given(st.sampled_from(TEXTS), st.sampled_from(ZONES), MOMENTS, st.lists(st.integers(0, 7 * 86_400), max_size=5))
def test_however_time_is_cut_into_pieces_the_instants_are_the_same(text, zone, begin, cuts):
    """
    Asked again and again from where it left off, a schedule gives what it gives when it is asked once, in order.
    """
    schedule = Schedule(text, zone)
    moments = [begin, *(begin + timedelta(seconds=cut) for cut in sorted(cuts))]
    pieces = [schedule.between(*pair) for pair in pairwise(moments)]

    whole = schedule.between(begin, moments[-1])

    assert whole == list(chain(*pieces))
    assert whole == sorted(set(whole))


def test_the_zone_says_which_hour_is_meant():
    """
    Two o'clock is not the same moment everywhere.
    """
    noon = utc(2026, 6, 1, 12)

    assert utc(2026, 6, 2, 0, 30) == next(NIGHTLY.after(noon))
    assert utc(2026, 6, 2, 2, 30) == next(Schedule(NIGHTLY.text, "UTC").after(noon))


def test_a_mark_counts_what_was_missed_between_and_goes_back_for_nothing():
    """
    From one acted on to the next nothing was missed; over three days two; an earlier instant moves no mark.
    """
    first, second, _, fourth = islice(NIGHTLY.after(utc(2026, 6, 1, 12)), 4)
    mark = ScheduleMark(NIGHTLY, utc(2026, 6, 1, 12))

    at_first = mark.moved_to(first)
    at_fourth = at_first.moved_to(fourth)

    assert [(first, 0), (fourth, 2)] == [(one.until, one.missed) for one in (at_first, at_fourth)]
    assert at_fourth == at_fourth.moved_to(second)


def test_a_training_is_told_the_same_number_before_the_mark_has_moved_and_after():
    """
    The watcher may be killed between asking for the training and noting it.
    """
    *_, fourth = islice(NIGHTLY.after(utc(2026, 6, 1, 12)), 4)
    mark = ScheduleMark(NIGHTLY, utc(2026, 6, 1, 12))

    assert [3, 3] == [mark.missed_before(fourth), mark.moved_to(fourth).missed_before(fourth)]
    assert 0 == mark.moved_to(fourth).missed_before(utc(2026, 6, 2, 0, 30))


def test_a_mark_is_read_as_it_was_written_and_one_that_was_spoilt_is_none():
    """
    Whatever stands in the tag, no tick ends for it.
    """
    mark = ScheduleMark(NIGHTLY, utc(2026, 6, 2, 0, 30), 3)

    assert mark == ScheduleMark.from_json(mark.to_json())
    for spoilt in ("", "{}", "[]", "7", '{"until": "now"}', mark.to_json().replace("zone", "place")):
        assert ScheduleMark.from_json(spoilt) is None


def test_a_name_tells_its_instant_and_a_batch_of_that_name_does_not():
    """
    Only with the hash of the name it is a scheduled training: a person may drop a batch that is called so.
    """
    name = name_of(utc(2026, 11, 28, 2))

    assert "schedule-20261128T020000Z" == name
    assert utc(2026, 11, 28, 2) == instant_of(name, hash_of(name))
    assert instant_of(name, "0" * 64) is None
    assert instant_of(name, "") is None
    assert instant_of("cars-0001", hash_of("cars-0001")) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2", "it has 1 of 5 fields"),
        ("0 0 2 * * *", "it has 6 of 5 fields"),
        ("61 2 * * *", "Bad minute"),
        ("0 2 * * FUN", "Bad day-of-week"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("9" * 5000 + " * * * *", "Exceeds the limit"),
    ],
)
def test_cron_text_that_says_no_time_is_refused_with_its_reason(text, says):
    """
    Five fields, each within its range, that some day fulfils.
    """
    assert says in cron_problem(text)
    assert "must be cron text of five fields" in cron_problem(text)


@given(st.text(alphabet="0123456789*/,-#LWMONjan² ", max_size=40))
def test_any_text_is_judged_and_what_passes_has_a_next_instant(text):
    """
    No text ends the program that asks.
    """
    if not cron_problem(text):
        assert next(Schedule(text, "UTC").after(FIRST))


def test_every_schedule_of_these_tests_is_one_and_blanks_make_no_other():
    """
    The same text with other blanks is the same schedule; none at all is no schedule.
    """
    assert [""] * len(TEXTS) == [cron_problem(text) for text in TEXTS]
    assert schedule_of(" 30  2 * * * ", BERLIN) == NIGHTLY
    assert schedule_of(" ", "UTC") is None


def test_a_zone_is_known_by_its_name_in_the_data_base():
    """
    Neither an abbreviation of somebody's own, nor a path, nor a folder of the data base.
    """
    assert ["", ""] == [zone_problem(zone) for zone in ("UTC", BERLIN)]
    assert all(zone_problem(zone) for zone in ("", "Berlin", "Europe", "../etc/passwd", "/etc/localtime"))
