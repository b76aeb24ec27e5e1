"""What the page tells of a status snapshot, and what happened between two of them."""

from stack.cli.page.state import LONGEST, NOTHING, SHOWN, happened, last_step, view

LOG = """\
2026-01-01T00:00:00Z [info     ] find the batch                 app=trainer batch=cars-0001 seconds=0.2
2026-01-01T00:00:01Z [info     ] counted                        app=trainer batch=cars-0002 batches=1 rows=3000
2026-01-01T00:00:02Z [info     ] read every row                 app=trainer batch=cars-0002 seconds=25.88
View run boosted_trees at: somewhere
""".splitlines()


def snapshot(**more):
    """What status knows of a healthy stack without a batch."""
    batches = {"landing": [], "used": [], "refused": [], "unfinished": []}
    known = {"mode": "embedded", "services": [], "problems": [], "dataset": "used_cars", "serving": None}
    return {**known, "wanted": None, "champion": None, "versions": [], "batches": batches, **more}


def batches(**places):
    """The batches of a snapshot."""
    return {"landing": [], "used": [], "refused": [], "unfinished": [], **places}


def version(number, **more):
    """A version of a snapshot."""
    return {"version": number, "batch": "b", "withheld": "", "alarm": "", "metrics": {"test_rmse": 1.0}, **more}


def test_the_step_of_a_training_is_the_last_that_its_log_calls_done():
    """Another batch's steps, and lines that are no step, are left out."""
    assert "read every row (25.9 s)" == last_step(LOG, "cars-0002")
    assert "" == last_step(LOG, "cars-0003")


def test_long_lists_are_cut_to_the_newest_and_counted():
    """A stack of hundreds of versions and batches makes no long page."""
    told = view(
        snapshot(
            versions=[version(str(number)) for number in range(1, 301)],
            batches=batches(used=[f"b-{number}" for number in range(300)]),
        )
    )

    assert (300, SHOWN, "300") == (told["versions_n"], len(told["versions"]), told["versions"][0]["version"])
    assert (300, SHOWN, "b-299") == (told["used_n"], len(told["used"]), told["used"][0])


def test_a_long_reason_is_cut():
    """A reason may quote a whole row."""
    told = view(snapshot(batches=batches(refused=[{"batch": "b", "reason": "x" * 10_000}])))

    assert len(told["refused"][0]["reason"]) == LONGEST + 2


def test_what_nobody_could_tell_stays_as_it_was():
    """A stack that does not answer for a moment does not look empty; its problem is told."""
    before = NOTHING | view(snapshot(versions=[version("1")], champion="1"))
    now = before | view({"mode": "embedded", "services": [], "problems": ["no answer within 5 s"]})

    assert ("1", 1, ["no answer within 5 s"]) == (now["champion"], now["versions_n"], now["problems"])


def test_what_happened_is_told_in_the_order_of_the_flow():
    """A batch that is used, its version, the champion and the release, each once."""
    landed = {"batch": "b-2", "training": "running", "attempts": 1}
    before = NOTHING | view(snapshot(batches=batches(landing=[landed])))
    release = {"release": 1, "version": "1", "state": "starting"}
    now = NOTHING | view(snapshot(batches=batches(used=["b-2"]), versions=[version("1")], champion="1", wanted=release))

    assert ["batch b-2 landed"] == [one["text"] for one in happened(NOTHING, before)]
    assert [
        ("batch", "batch b-2 is used"),
        ("version", "version 1 is registered"),
        ("version", "version 1 is champion"),
        ("release", "release 1 of version 1 is rolled out"),
    ] == [(one["kind"], one["text"]) for one in happened(before, now)]
    assert [] == happened(now, now)


def test_a_refusal_and_a_withheld_version_are_told_with_their_reason():
    """So that nobody has to look for it."""
    refused = batches(refused=[{"batch": "b-3", "reason": "column price must be a number"}])
    now = NOTHING | view(snapshot(batches=refused, versions=[version("2", withheld="plainly worse")]))

    assert [
        "batch b-3 was refused: column price must be a number",
        "version 2 is registered, and withheld: plainly worse",
    ] == [one["text"] for one in happened(NOTHING, now)]


def test_a_training_that_begins_is_told():
    """With the batch that it is on."""
    landed = {"batch": "b-2", "training": "running", "attempts": 1}
    now = NOTHING | view(snapshot(batches=batches(landing=[landed]), training={"batch": "b-2", "step": ""}))

    assert ["batch b-2 landed", "a training on b-2 runs"] == [one["text"] for one in happened(NOTHING, now)]


def test_what_the_alarm_says_of_a_version_is_told_once():
    """A roll-back of its own is no riddle."""
    before = NOTHING | view(snapshot(versions=[version("2")]))
    now = NOTHING | view(snapshot(versions=[version("2", alarm="rolled back to version 1: worse")]))

    assert ["version 2: rolled back to version 1: worse"] == [one["text"] for one in happened(before, now)]
    assert [] == happened(now, now)
