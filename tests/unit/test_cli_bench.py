"""What bench makes of what it measured: the most that is sustained, the cost of a roll-out, ratios."""

import pytest

from apps.common.messages import Answer
from loadtest.timing import Latency, RequestWait
from stack.cli.bench.bout import BATON, Bout
from stack.cli.bench.live_metrics import delays, growth
from stack.cli.bench.most import most, shortfall
from stack.cli.bench.overload import back_after_s
from stack.cli.bench.peers import ratios
from stack.cli.bench.roll_outs import Moved, figures_of, summary
from stack.cli.bench.standby import Outage, outage_figures
from stack.cli.bench.train import ratio, seconds_of
from tests.unit import sample_run
from tests.unit.sample_run import BEGAN


def bout(who=BATON, rate=1000.0, p99=20.0, late=1.0, **more):
    """What came of a rate: all well, but for what is said."""
    measured = Latency(100, 2.0, 10.0, p99, 40.0, 60.0) if p99 else Latency(0)
    told = {"answered_a_second": rate, "backlog": 3, "missing": 0, **more}
    return Bout(who, rate, measured, Latency(100, 0.1, 0.5, late, 2.0, 3.0), **told)


@pytest.mark.parametrize(("limit", "found"), [(1000, 976), (1111, 1098), (399, 350), (45, 0), (10_000, 5000)])
def test_the_most_that_is_sustained_is_found_from_below_and_between(limit, found):
    """Steps rise by a quarter until one fails; three halvings later the rate is known, and no step is above the top."""
    tried = []

    def sustained(rate):
        tried.append(rate)
        return rate <= limit

    assert found == most(sustained)
    assert len(tried) <= 16
    assert max(tried) <= 5000


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (bout(), ""),
        (bout(backlog=20), ""),
        (bout(p99=101.0), "p99 above 100 ms"),
        (bout(p99=None), "p99 above 100 ms"),
        (bout(backlog=21), "the lag grows"),
        (bout(missing=1), "requests without an answer"),
        (bout(late=101.0, p99=101.0), "the sender was late"),
    ],
)
def test_a_rate_is_sustained_when_answers_are_in_time_and_keep_up(measured, why):
    """A p99 above the limit, more under way than it explains, an answer that never came; or the sender was at fault."""
    assert why == shortfall(measured)


def test_ratios_are_to_baton_at_the_same_rate():
    """A peer's figures are divided by those of Baton's bout of that rate; without answers there is none."""
    peer, silent = bout("arrays", 1000.0, 50.0), bout("one-by-one", 1000.0, None)
    bouts = [bout(rate=100.0, p99=10.0), peer, silent, bout(rate=1000.0, p99=25.0)]

    assert {"p50_to_baton": 1.0, "p99_to_baton": 2.0} == ratios(peer, bouts)
    assert {"p50_to_baton": None, "p99_to_baton": None} == ratios(silent, bouts)


def test_a_roll_out_costs_what_those_met_who_waited_meanwhile():
    """The hand-over at 4 s: the slow request of 0.9 s fell into the start, that of 3 s into the switch."""
    moved = [Moved("5", BEGAN + 0.5, BEGAN + 4.25)]
    (starting,) = figures_of(moved, sample_run.run(slow=90))
    (switching,) = figures_of(moved, sample_run.run(slow=300))

    assert 3.75 == starting.served_s
    assert (800, 2) == pytest.approx((starting.starting_worst_ms, starting.switch_worst_ms), abs=0.1)
    assert (2, 800) == pytest.approx((switching.starting_worst_ms, switching.switch_worst_ms), abs=0.1)
    assert (0, "5", pytest.approx(22)) == (starting.repeats, starting.version, starting.longest_gap_ms)


def test_a_hand_over_that_was_not_seen_has_no_figures():
    """A move after the hand-over, to another version, or ended by the next move: only the seconds are known."""
    late, other = Moved("5", BEGAN + 5, BEGAN + 5.5), Moved("4", BEGAN + 0.5, BEGAN + 1)
    early = Moved("5", BEGAN + 0.1, BEGAN + 0.2)

    found = figures_of([early, other, late], sample_run.run())

    assert [None] * 3 == [one.repeats for one in found]
    assert {"served_s": 0.5, "repeats": None} == {
        name: value for name, value in summary(found)["median"].items() if name in ("served_s", "repeats")
    }


def test_the_summary_is_the_median_and_the_worst_of_each_figure():
    """Each figure by itself, over the roll-outs that have it."""
    moves = [Moved("5", BEGAN + 1, BEGAN + 1 + seconds) for seconds in (9.0, 3.0, 4.0)]
    found = [one for move in moves for one in figures_of([move], sample_run.run())]

    assert 4.0 == summary(found)["median"]["served_s"]
    assert 9.0 == summary(found)["worst"]["served_s"]


def test_an_outage_is_the_longest_silence_that_ended_after_it():
    """A silence before it is not its own, nor is one after the next outage."""

    def wait(sent_at, ms):
        answer = Answer("r", 0, 0, "1", 1, 1.0, None, seen_at=sent_at + ms / 1000)
        return RequestWait(0, sent_at, answer)

    waits = [wait(95.0, 900), wait(99.9, 2500), wait(103.0, 5), wait(110.0, 700), wait(125.0, 3)]
    found = outage_figures([Outage("kill", 100.0), Outage("freeze", 120.0)], waits)

    assert [("kill", 2500), ("freeze", 3)] == [(one.how, round(one.gap_ms)) for one in found]


def answered(sent_at, after_s):
    """A request that was answered, or never (None)."""
    answer = None if after_s is None else Answer("r", 0, 0, "1", 1, 1.0, None, seen_at=sent_at + after_s)
    return RequestWait(0, sent_at, answer)


@pytest.mark.parametrize(
    ("behind", "back"),
    [
        ([0.01, 0.05], 0.0),
        ([9.0, 0.2, 0.05], 1.0),
        ([9.0, 0.05, None, 0.05], 2.0),
        ([9.0, 0.05, 0.2], None),
        ([], 0.0),
    ],
)
def test_all_is_as_before_an_overload_from_the_last_request_that_waited_for_longer(behind, back):
    """A request each second behind the overload; one that waited in it says nothing of what comes behind it."""
    in_it = answered(BEGAN - 1, 30.0)
    waits = [in_it, *(answered(BEGAN + second, after_s) for second, after_s in enumerate(behind))]

    assert back == back_after_s(waits, BEGAN)


TRAINER_LOG = """\
2026-11-26T16:48:32.448944Z [info     ] verify the batch               app=trainer batch=used_cars-0002 seconds=0.06
26/11/26 16:48:33 WARN NativeCodeLoader: Unable to load native-hadoop library
2026-11-26T16:48:42.923448Z [info     ] counted                        app=trainer batch=used_cars-0002 rows=3000
2026-11-26T16:48:42.923663Z [info     ] read every row                 app=trainer batch=used_cars-0002 seconds=10.47
2026-11-26T16:48:43.000000Z [info     ] read every row                 app=trainer batch=used_cars-0003 seconds=9.5
2026-11-26T16:49:33.869393Z [info     ] done                           app=trainer batch=used_cars-0002 seconds=63.1
"""


def test_the_seconds_of_a_training_are_those_that_its_log_has():
    """Each step under its name, and all of it; no other line, and no other batch's."""
    found = seconds_of(TRAINER_LOG.splitlines(keepends=True), "used_cars-0002")

    assert {"verify the batch": 0.06, "read every row": 10.47, "done": 63.1} == found
    assert 1.25 == ratio([{"done": 40.0}, {"done": 70.0}, {"done": 50.0}])


class FigureRecord:
    """A record of the topic of live metrics."""

    def __init__(self, at, key, labelled):
        self.key, self.value = lambda: key, lambda: b'{"labelled": %d}' % labelled
        self.timestamp = lambda: (1, int(at * 1000))


def test_the_way_from_outcome_to_figure_is_that_of_the_kth_outcome_to_k_in_the_figures():
    """Windows are summed, a newer record takes the place of an older; an outcome in no figure has no way."""
    grown = growth([FigureRecord(13, b"2@0", 1), FigureRecord(12, b"1@0", 2), FigureRecord(15, b"1@0", 3)])

    assert grown == [(12, 2), (13, 3), (15, 4)]
    assert [2000, 1500, 1000, 2000] == delays([10, 10.5, 12, 13, 14], grown)
