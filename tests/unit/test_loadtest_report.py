"""What the report and the table say of a run, good or bad."""

import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from rich.console import Console

from loadtest.answer_order import OrderBreak, OrderJudgement
from loadtest.chart import clock
from loadtest.ledger import Verdict, check
from loadtest.report import DROP, TRAINED, BatchRow, Event, Timeline, VersionRow, as_ms, as_number, render, table
from tests.unit.sample_run import BEGAN, run

BROKEN = OrderBreak("a process", 1, 7, "it went back from 9 to 7")
TIMELINE = Timeline(
    dataset="used_cars",
    events=[Event(BEGAN + 1, "used_cars-0002 lands", DROP), Event(BEGAN + 3, "version 5 is champion", TRAINED)],
    batches=[BatchRow("used_cars-0002", 12_000, "abcdef0123456789" * 4, quarantined=17)],
    versions=[
        VersionRow("4", "used_cars-0001", {"test_rmse": 4321.0}, 41.5),
        VersionRow("5", "used_cars-0002", {"test_rmse": 4100.0, "test_r2": 0.871}),
    ],
)


@pytest.fixture
def page(tmp_path):
    def written(verdict: Verdict, timeline: Timeline = TIMELINE) -> str:
        render(verdict, timeline, tmp_path / "report.html")
        return (tmp_path / "report.html").read_text()

    return written


class Tags(HTMLParser):
    """Collects the tags of a page and where they point."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.targets: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.targets += [value for name, value in attrs if name in {"href", "src", "xlink:href"}]


def text_of(html: str) -> str:
    body = re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_report_needs_nothing_but_itself(page):
    """No script, no font, no picture and no style comes from elsewhere."""
    html = page(run())
    tags = Tags(html)

    assert not {"script", "link", "img", "iframe"} & set(tags.open)
    assert all(target.startswith("#") for target in tags.targets)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_a_good_run_says_so(page):
    """The headline, the versions with their metrics, the batch, the hand-over and the machine are there."""
    text = text_of(page(run()))

    assert "Nothing was dropped, nothing was wrong" in text
    for told in ("600 acknowledged requests", "4,321", "0.871", "41.5 s", "used_cars-0002", "12,000", "17"):
        assert told in text
    assert "abcdef012345" in text
    assert "1 → 2" in text
    assert "while a training ran" in text
    assert "GiB" in text


def test_a_bad_run_says_what_was_wrong(page):
    """A request without an answer and an answer that differs are named, and nothing claims success."""
    html = page(run(lost=3, altered=1))
    text = text_of(html)

    assert "This run failed" in text
    assert "Nothing was dropped" not in text
    assert "3 not: r597, r598, r599" in text
    assert "version 4 predicts 100.0; got 101.0" in text
    assert "never answered" in text


def test_a_run_in_which_a_version_never_answered_failed(page):
    """The report expects every version of its timeline to be seen."""
    timeline = Timeline("used_cars", versions=[VersionRow(name, "b") for name in "456"])

    assert "at least 3 versions; got 4, 5" in text_of(page(run(), timeline))


def test_a_version_that_was_not_made_champion_is_told_with_its_reason(page):
    """Nobody expects an answer of it, so that the run does not fail for it."""
    reason = "its rmse must be at most 10% above that of version 5"
    told = [*TIMELINE.versions, VersionRow("6", "used_cars-0003", {"test_rmse": 9e5}, 40.0, reason)]
    text = text_of(page(run(), replace(TIMELINE, versions=told)))

    assert f"not made champion: {reason}" in text
    assert "Nothing was dropped, nothing was wrong" in text


def test_text_from_elsewhere_cannot_become_markup(page):
    """Names and reasons come from files and requests; they are shown, not obeyed."""
    timeline = Timeline(
        "<script>alert(1)</script>", batches=[BatchRow("<b>", 1, "0")], events=[Event(BEGAN, "<i>", "x")]
    )
    html = page(run(), timeline)

    assert "script" not in Tags(html).open
    assert "&lt;script&gt;" in html
    assert "&lt;i&gt;" in html


def test_a_version_of_any_name_is_shown_in_report_and_table(page):
    """Who answered is read from a header that anybody may write: markup, a formula and HTML are letters."""
    odd = "[/b] $x_{$ <script>"
    verdict = run(second=odd)
    html = page(verdict)
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(table(verdict))

    assert "script" not in Tags(html).open
    assert "[/b] $x_{$ &lt;script&gt;" in html
    assert f"4, {odd}" in console.export_text()


def test_an_empty_run_still_makes_a_report(page):
    """When nothing was sent the report says that, instead of failing itself."""
    assert "requests must be sent; got none" in text_of(page(check([], [], []), Timeline("used_cars")))


def test_a_training_lasts_from_its_batch_to_its_version():
    """Each drop is paired with the next finished training, in the order of time; an unfinished one has no end."""
    events = [Event(9.0, "", DROP), Event(1.0, "", DROP), Event(5.0, "", TRAINED), Event(6.0, "", "handover")]

    assert Timeline("d", events).trainings() == [((1.0, 5.0), "4 s")]


def test_the_table_says_the_same_in_a_few_lines():
    """The terminal shows counts, percentiles, the silence and the hand-over."""
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(run(lost=2, slow=100)))
    lines = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}

    assert "598" in lines["answered"]
    assert "2" in lines["missing"].split()
    assert "0" in lines["wrong"].split()
    assert "2.0 ms" in lines["p50"]
    assert "worst 800 ms" in lines["p99"]
    assert "4, 5" in lines["versions"]
    assert "version 5" in lines["release"]


def not_compared(verdict: Verdict) -> Verdict:
    """The same run, for which nobody computed what the versions predict."""
    return replace(verdict, compared=0)


def test_a_verdict_without_a_comparison_shows_no_zero(page):
    """Where nothing was compared, table, page and figures for programs say so; none counts 0 wrong answers."""
    verdict = not_compared(run())
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(verdict))
    lines = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    text = text_of(page(verdict))

    assert "not compared" in lines["wrong"]
    assert "0" not in lines["wrong"].split()
    assert "wrong not compared" in text
    assert "nothing was wrong" not in text
    assert verdict.to_json()["wrong"] is None


def test_a_version_without_a_second_opinion_is_told(page):
    """The page calls no run proven that the exit code calls a failure; where there is one, the table counts it."""
    alone = replace(run(), second_opinions={"4": 400})
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(alone))
    text = text_of(page(alone))

    assert "600 compared with what their versions predict, 400 of them twice" in console.export_text()
    assert "This run failed" in text
    assert "second opinion; got none of 5" in text
    assert "second opinion 400 of these" in text


def test_a_verdict_without_a_request_shows_no_zero(page):
    """Where nothing was sent nothing can be missing: table and page say that nothing was sent."""
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(check([], [], [])))
    lines = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}

    assert "nothing sent" in lines["missing"]
    assert "missing nothing sent" in text_of(page(check([], [], []), Timeline("used_cars")))


@pytest.mark.parametrize(
    ("order", "in_table", "on_page", "failure"),
    [
        (OrderJudgement(598, 0, ()), "0", "out of order 0 of 598 answers", ""),
        (OrderJudgement(0, 0, ()), "not judged", "out of order - of 0 answers", "answers must name their process"),
        (
            OrderJudgement(598, 1, (BROKEN,)),
            "1",
            "Answers out of order a process 1/7 it went back from 9 to 7",
            "a process in partition 1: it went back",
        ),
    ],
)
def test_the_order_is_told_where_it_could_be_judged(page, order, in_table, on_page, failure):
    """Table and page count the answers that broke it, the page tells the first; without a judgement there is no 0."""
    verdict = replace(run(), order=order)
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(table(verdict))
    (line,) = (line for line in console.export_text().splitlines() if line.startswith("out of order"))
    text = text_of(page(verdict))

    assert line.removeprefix("out of order").strip().startswith(in_table)
    assert on_page in text
    assert bool(failure) == ("This run failed" in text)
    assert failure in text


@pytest.mark.parametrize(
    ("shown", "as_text"),
    [
        (as_ms(None), "-"),
        (as_ms(3.14), "3.1 ms"),
        (as_ms(417.3), "417 ms"),
        (as_ms(16_200), "16.2 s"),
        (as_number(1234567), "1,234,567"),
        (as_number(0.87123), "0.8712"),
        (as_number(-4321.5), "-4,322"),
        (clock(75), "1:15"),
        (clock(-95), "-1:35"),
        (clock(-0.2), "0:00"),
    ],
)
def test_figures_are_readable(shown, as_text):
    """Units and digits suit the size of the figure."""
    assert shown == as_text
