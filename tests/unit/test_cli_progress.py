"""What a person sees while a stack comes up, on a terminal or not."""

from stack.cli.console import StepLine
from stack.cli.progress import Progress
from stack.runtime import ServiceStatus

REFUSED = "connection refused"


def lines(capsys, looks, **options):
    """What is printed for looks (seconds, service, state, error) at kafka and mlflow."""
    progress = Progress(StepLine("up", lambda _: None), {"kafka", "mlflow"}, "the log of {}".format, **options)
    for seconds, service, state, error in looks:
        progress.report(ServiceStatus(service, state, error=error), seconds)
    return progress, [line.split() for line in capsys.readouterr().err.splitlines()]


def test_each_change_of_a_service_is_a_line(capsys):
    """Seconds, service, state and error, once for each change and not for each look."""
    looks = [(0.1, "kafka", "waiting", ""), (0.5, "kafka", "starting", ""), (0.6, "kafka", "starting", REFUSED)]
    looks += [(2.0, "kafka", "crashed", "no space left"), (4.0, "kafka", "ready", "")]
    progress, shown = lines(capsys, looks)

    assert shown == [
        ["0.5", "s", "kafka", "starting"],
        ["2.0", "s", "kafka", "crashed", "no", "space", "left"],
        ["4.0", "s", "kafka", "ready"],
    ]
    assert {"kafka": 4.0} == progress.ready_after


def test_what_does_not_move_is_named_after_ten_seconds(capsys):
    """Ten seconds without a change: what is waited for, since when, and its last error; and again ten seconds later."""
    looks = [(1.0, "mlflow", "waiting", ""), (1.0, "kafka", "starting", "")]
    looks += [(second / 10, "kafka", "starting", REFUSED) for second in range(20, 225)]
    _, shown = lines(capsys, looks, quiet=True)
    text = [" ".join(words) for words in shown]

    assert text == [
        "11.0 s still waiting for kafka (starting 10 s): connection refused",
        "21.0 s still waiting for kafka (starting 20 s): connection refused",
    ]


def test_quiet_still_shows_what_went_wrong(capsys):
    """With --quiet only a service that is in trouble gets a line."""
    looks = [(1.0, "kafka", "starting", ""), (2.0, "kafka", "crashed", "no space left"), (3.0, "kafka", "ready", "")]
    _, shown = lines(capsys, looks, quiet=True)

    assert shown == [["2.0", "s", "kafka", "crashed", "no", "space", "left"]]


def test_an_error_is_text_and_never_markup(capsys):
    """What a service writes is shown as it is."""
    _, shown = lines(capsys, [(1.0, "kafka", "crashed", "[/red] [bold]")])

    assert shown[0][-2:] == ["[/red]", "[bold]"]


def test_what_has_no_error_is_named_with_its_log(capsys):
    """A service that is slow without a word of its own: where its log is read, if anywhere."""
    looks = [(1.0, "kafka", "starting", ""), (12.0, "kafka", "starting", "")]
    _, shown = lines(capsys, looks, quiet=True)

    assert " ".join(shown[0]).endswith("kafka (starting 11 s): no error; the log of kafka")
