"""The checker is checked: histories that are right, and the same with one thing changed."""

import json
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.common.messages import PROBE_PREFIX, Answer, Expected, Send
from loadtest.ledger import SendJournal, Unanswered, Verdict, check, missing, problems

MODEL = "baton.used_cars"
MANIFESTS = {"4": "4a4a", "5": "5b5b"}
TOO_EXPENSIVE = "price must be at most 3000000"


@dataclass(frozen=True)
class History:
    """One run: a request each 10 ms, two partitions, release 1 (version 4) and then release 2 (version 5)."""

    sends: list[Send]
    answers: list[Answer]
    expected: list[Expected]

    def judge(self, answers: list[Answer] | None = None) -> Verdict:
        return check(self.sends, self.answers if answers is None else answers, self.expected, model=MODEL)


def says(version: str, partition: int, offset: int) -> Expected:
    """Each version predicts something else; each seventh request is rejected by both."""
    rejected = offset % 7 == 3
    price = 1000.0 * int(version) + 10 * offset + partition
    prediction, rejection = (None, TOO_EXPENSIVE) if rejected else (price, None)
    return Expected(version, partition, offset, prediction, rejection, manifest=MANIFESTS[version])


def answer(send: Send, version: str, release: int, seen_at: float) -> Answer:
    assert send.position
    right = says(version, *send.position)
    return Answer(
        send.request_id,
        *send.position,
        version,
        release,
        right.prediction,
        right.rejection,
        seen_at,
        process=f"process-{release}",
        topic_id="t",
        model=MODEL,
        manifest=MANIFESTS[version],
        partition=send.partition,
    )


def history(count: int = 40, handover: int = 20, delay: float = 0.003) -> History:
    sends = [Send(f"r{n}", n % 2, n // 2, sent_at=100 + n / 100, acked_at=100 + n / 100 + 0.001) for n in range(count)]
    releases = [("4", 1) if n < handover else ("5", 2) for n in range(count)]
    answers = [answer(send, *served, send.sent_at + delay) for send, served in zip(sends, releases, strict=True)]
    expected = [says(version, n % 2, n // 2) for version in "45" for n in range(count)]
    sample = [replace(line, second_opinion=True) for line in expected if line.in_offset % 3 == 0]
    return History(sends, answers, [*expected, *sample])


histories = st.integers(2, 60).flatmap(
    lambda count: st.builds(history, st.just(count), st.integers(1, count - 1), st.floats(0.0001, 0.5))
)
picks = st.integers(0, 10_000)
briefly = settings(max_examples=25, deadline=None)  # a busy machine is no failure


@briefly
@given(histories)
def test_a_right_history_is_green(right):
    """Every request answered once, by two versions: no problem is found, and nothing is counted twice."""
    verdict = right.judge()

    assert problems(verdict, 2) == []
    assert (verdict.sent, verdict.acked, verdict.answered) == (len(right.sends),) * 3
    assert (verdict.missing, verdict.wrong, verdict.repeats, verdict.foreign) == ((), (), 0, 0)
    assert (verdict.versions, verdict.releases) == (("4", "5"), (1, 2))
    assert verdict.compared == len(right.sends)


@briefly
@given(histories, picks)
def test_a_deleted_answer_is_missing(right, pick):
    """Without one answer exactly its request is missing, and the run is a failure that names it."""
    at = pick % len(right.answers)
    verdict = right.judge([*right.answers[:at], *right.answers[at + 1 :]])

    assert verdict.missing == (right.answers[at].request_id,)
    assert verdict.answered == len(right.sends) - 1
    assert any(right.answers[at].request_id in sentence for sentence in problems(verdict))


@briefly
@given(histories, picks, picks)
def test_a_doubled_answer_is_a_repeat(right, pick, later):
    """An answer that comes again, from another process, is counted and changes nothing else."""
    at = pick % len(right.answers)
    place = at + 1 + later % (len(right.answers) - at)
    doubled = replace(right.answers[at], seen_at=right.answers[-1].seen_at, process="another")
    verdict = right.judge([*right.answers[:place], doubled, *right.answers[place:]])

    assert verdict.repeats == 1
    assert problems(verdict, 2) == []
    assert verdict.latency == right.judge().latency


@briefly
@given(histories, picks, st.floats(0.001, 1e9))
def test_an_altered_value_is_wrong(right, pick, by):
    """A prediction that differs, or one in place of a rejection, is one wrong answer."""
    at = pick % len(right.answers)
    altered = replace(right.answers[at], prediction=(right.answers[at].prediction or 0.0) + by)
    verdict = right.judge([*right.answers[:at], altered, *right.answers[at + 1 :]])

    assert [one.request_id for one in verdict.wrong] == [altered.request_id]
    assert verdict.missing == ()
    assert problems(verdict)


@pytest.mark.parametrize("at", [0, 6], ids=["a prediction", "a rejection"])
def test_a_rejection_with_another_reason_is_wrong(at):
    """A rejection must be the one that the version gives, word by word."""
    right = history()
    altered = replace(right.answers[at], prediction=None, rejection="no")
    verdict = right.judge([*right.answers[:at], altered, *right.answers[at + 1 :]])

    assert [one.request_id for one in verdict.wrong] == [altered.request_id]


@briefly
@given(histories.filter(lambda right: len(right.sends) > 5), picks)
def test_a_relabelled_version_is_wrong(right, pick):
    """An answer under another version's name is wrong, even where both versions say the same."""
    candidates = [
        at for at, one in enumerate(right.answers) if sum(a.release == one.release for a in right.answers) > 2
    ]
    at = candidates[pick % len(candidates)]
    other = "5" if right.answers[at].model_version == "4" else "4"
    relabelled = replace(right.answers[at], model_version=other, manifest=MANIFESTS[other])
    verdict = right.judge([*right.answers[:at], relabelled, *right.answers[at + 1 :]])

    assert [one.request_id for one in verdict.wrong] == [relabelled.request_id]


@briefly
@given(histories, picks)
def test_an_unknown_version_is_wrong(right, pick):
    """An answer by a version that nobody can score again is never taken on trust."""
    at = pick % len(right.answers)
    verdict = right.judge([*right.answers[:at], replace(right.answers[at], model_version="9")])

    assert right.answers[at].request_id in {one.request_id for one in verdict.wrong}


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        ({"model": "other.used_cars"}, "it must be of model baton.used_cars; got other.used_cars"),
        ({"model": None}, "it must be of model baton.used_cars; got none"),
        ({"manifest": "5b5b"}, "nothing is known of what version 4 with manifest 5b5b says to it"),
        ({"manifest": None}, "nothing is known of what version 4 with manifest none says to it"),
        ({"partition": 2}, "as its request; got 2"),
    ],
    ids=str,
)
def test_answers_that_name_another_model_or_stand_elsewhere_are_wrong(altered, reason):
    """All of them alike, so that none stands out among the others."""
    right = history(handover=40)
    verdict = right.judge([replace(one, **altered) for one in right.answers])

    assert {one.request_id for one in verdict.wrong} == {send.request_id for send in right.sends}
    assert all(one.reason.endswith(reason) for one in verdict.wrong)


@pytest.mark.parametrize(
    ("altered", "reason"),
    [
        ({"model_version": "5"}, "release 1 must be of one version; got 5 and 4"),
        ({"manifest": "5b5b"}, "release 1 must be of one manifest; got 5b5b and 4a4a"),
        ({"topic_id": "u"}, "all requests must be of one topic; got u and t"),
    ],
    ids=str,
)
def test_an_answer_unlike_the_others_is_wrong(altered, reason):
    """No model is needed to see it."""
    right = history()
    odd, *others = right.answers

    assert [reason] == [one.reason for one in check(right.sends, [replace(odd, **altered), *others], []).wrong]


@pytest.mark.parametrize("name", ["manifest", "topic_id", "partition"])
def test_what_an_answer_does_not_say_contradicts_no_other(name):
    """The server of an earlier Baton may have written most of them."""
    right = history()
    told, *others = right.answers

    assert () == check(right.sends, [told, *(replace(one, **{name: None}) for one in others)], []).wrong


def test_two_models_of_one_name_and_version_are_told_apart():
    """A registered model that is deleted begins again with version 1: each answer is held against its own files."""
    right = history()
    answers, expected = (
        [replace(one, model_version="1") for one in lines] for lines in (right.answers, right.expected)
    )
    second = replace(answers[30], prediction=answers[30].prediction - 1000)  # what the first of the two says to it

    assert () == check(right.sends, answers, expected).wrong
    assert len(answers) == check(right.sends, answers, expected).compared
    (wrong,) = check(right.sends, [*answers[:30], second, *answers[31:]], expected).wrong
    assert second.request_id == wrong.request_id


@briefly
@given(histories, picks, st.integers(1, 500))
def test_an_answer_moved_to_another_offset_is_wrong(right, pick, by):
    """Moved beyond the end, its request is missing and the answer wrong; moved onto another's place, it is wrong."""
    at = pick % len(right.answers)
    moved = replace(right.answers[at], in_offset=right.answers[at].in_offset + by)
    verdict = right.judge([*right.answers[:at], moved, *right.answers[at + 1 :]])

    assert moved.request_id in {one.request_id for one in verdict.wrong}
    assert moved.request_id in verdict.missing


@briefly
@given(histories, picks)
def test_an_answer_under_another_id_is_wrong(right, pick):
    """The answer at an offset must name the request that stands there."""
    at = pick % len(right.answers)
    renamed = replace(right.answers[at], request_id="somebody-else")
    verdict = right.judge([*right.answers[:at], renamed, *right.answers[at + 1 :]])

    assert [one.request_id for one in verdict.wrong] == ["somebody-else"]
    assert f"{right.answers[at].request_id} stands there" in verdict.wrong[0].reason


@pytest.mark.parametrize(
    ("prediction", "rejection"), [(None, None), (5.0, "no"), (float("nan"), None), ("NaN", None)], ids=repr
)
def test_an_answer_of_no_kind_is_wrong(prediction, rejection):
    """An answer is a number or a rejection, not both, not neither; NaN is no number. No model is needed to see it."""
    right = history()
    broken = replace(right.answers[0], prediction=prediction, rejection=rejection)

    assert len(check(right.sends, [broken, *right.answers[1:]], []).wrong) == 1


def test_a_difference_within_the_tolerance_is_right():
    """A prediction computed twice may differ in its last digits."""
    right = history()
    near = replace(right.answers[0], prediction=right.answers[0].prediction * (1 + 1e-10))

    assert right.judge([near, *right.answers[1:]]).wrong == ()


def test_a_wrong_repeat_is_wrong_though_nobody_keeps_it():
    """Both servers of an overlap must say what their versions predict."""
    right = history()
    repeat = replace(right.answers[0], prediction=1.0)
    verdict = right.judge([*right.answers, repeat])

    assert (verdict.repeats, len(verdict.wrong)) == (1, 1)


def test_without_an_acknowledgement_nothing_is_owed():
    """A request whose sending failed may have arrived or not: neither its answer nor the lack of it is a fault."""
    right = history()
    lost = Send("lost", None, None, sent_at=100.0, acked_at=None, error="timed out")
    arrived = replace(lost, request_id="arrived")
    of_arrived = replace(right.answers[-1], request_id="arrived", in_offset=900)
    verdict = check([*right.sends, lost, arrived], [*right.answers, of_arrived], right.expected)

    assert (verdict.sent, verdict.acked, verdict.unknown) == (42, 40, 2)
    assert (verdict.missing, verdict.foreign) == ((), 0)
    assert problems(verdict, 2, broker_stops=True) == []


@pytest.mark.parametrize(
    ("count", "unknown", "broker_stops", "said"),
    [
        (999, 1, False, []),
        (998, 2, False, ["2 of 1000"]),
        (900, 100, True, []),
        (899, 101, True, ["101 of 1000"]),
    ],
)
def test_a_run_that_nobody_acknowledged_proves_nothing(count, unknown, broker_stops, said):
    """Above a thousandth it fails, though nothing is owed; above a tenth where the run itself had the broker stop."""
    right = history(count, handover=count)
    lost = [Send(f"lost{n}", None, None, sent_at=100.0, acked_at=None, error="timed out") for n in range(unknown)]
    verdict = check([*right.sends, *lost], right.answers, right.expected)

    found = problems(verdict, broker_stops=broker_stops)

    assert len(said) == len(found)
    assert all(f"must be acknowledged; got {text}" in sentence for text, sentence in zip(said, found, strict=True))


def test_other_peoples_answers_are_foreign_and_probes_are_nothing():
    """Answers to nobody here are counted and ignored; the probes of starting servers are not even counted."""
    right = history()
    foreign = replace(right.answers[0], request_id="yesterday", in_offset=900, model_version="1", process="x")
    probe = replace(foreign, request_id=f"{PROBE_PREFIX}1", in_offset=901)
    verdict = right.judge([foreign, probe, *right.answers])

    assert (verdict.foreign, verdict.repeats) == (1, 0)
    assert verdict.versions == ("4", "5")
    assert problems(verdict, 2) == []


def test_a_run_that_proves_nothing_is_a_failure():
    """Nothing sent, nothing acknowledged or too few versions: each is said."""
    nothing = check([], [], [])
    unheard = check([Send("r", None, None, 1.0, None, "no broker")], [], [])
    right = history()

    assert "requests must be sent" in problems(nothing)[0]
    assert "acknowledged" in problems(unheard)[0]
    assert "at least 3 versions; got 4, 5" in problems(right.judge(), 3)[0]
    assert problems(check(right.sends, right.answers, []), 2, must_compare=True)
    assert problems(right.judge(), 2, must_compare=True) == []


@pytest.mark.parametrize("alter", [lambda _: None, lambda n: f"process-{n}"], ids=["no process", "each another"])
def test_a_run_whose_order_nobody_could_judge_is_not_proven(alter):
    """Answers enough, and none follows another of its process; too few of them need not."""
    right = history()
    altered = [replace(one, process=alter(n)) for n, one in enumerate(right.answers)]
    few = history(4, handover=2)

    assert [] == problems(right.judge(altered), 2)
    (sentence,) = problems(right.judge(altered), 2, must_compare=True)
    assert "order is judged; none of 40 was" in sentence
    assert not any("order is judged" in one for one in problems(few.judge(), 2, must_compare=True))


def test_a_version_without_a_second_opinion_is_not_proven():
    """What only the server's own functions have computed may be wrong on both sides: the version is named."""
    right = history()
    alone = [line for line in right.expected if not (line.second_opinion and line.model_version == "5")]
    verdict = check(right.sends, right.answers, alone)
    (sentence,) = problems(verdict, 2, must_compare=True)

    assert ["4"] == list(verdict.second_opinions)
    assert "second opinion; got none of 5" in sentence
    assert problems(verdict, 2) == []


@pytest.mark.parametrize("place", [0, 6], ids=["a prediction", "a rejection"])
def test_an_answer_that_the_second_opinion_contradicts_is_wrong(place):
    """The server's functions agree with its answer, and both are wrong."""
    right = history()
    of_place = right.answers[place]
    lines = [
        replace(line, prediction=1.0, rejection=None)
        if line.second_opinion and (line.in_partition, line.in_offset) == of_place.position
        else line
        for line in right.expected
    ]
    verdict = check(right.sends, right.answers, lines)

    assert [of_place.request_id] == [one.request_id for one in verdict.wrong]
    assert verdict.wrong[0].reason.endswith("so says code that shares nothing with the server's")


def test_all_problems_come_together():
    """One missing and one wrong answer are two sentences."""
    right = history()
    altered = replace(right.answers[0], prediction=-1.0)

    assert len(problems(right.judge([altered, *right.answers[2:]]), 2)) == 2


def test_silence_is_measured_while_somebody_waits():
    """A pause of the sender is no silence; a pause of the server is, in its own partition."""
    sends = [Send(f"r{n}", n % 2, n // 2, at, at) for n, at in enumerate([0.0, 0.0, 60.0, 60.0, 61.0])]
    delays = [0.01, 0.02, 0.01, 2.5, 0.01]
    answers = [answer(send, "4", 1, send.sent_at + delay) for send, delay in zip(sends, delays, strict=True)]
    silence = check(sends, sorted(answers, key=lambda one: one.seen_at), []).silence

    assert silence
    assert (silence.partition, silence.began, silence.ms) == (1, 60.0, pytest.approx(2500))


def test_a_request_without_an_answer_is_silence_to_the_end():
    """A partition that stops answering is silent until the last moment that is known."""
    right = history()
    verdict = right.judge([one for one in right.answers if one.in_partition == 0 or one.in_offset < 5])
    last_heard = right.answers[9].seen_at
    next_waits_from = right.sends[11].sent_at

    assert verdict.silence
    assert verdict.silence.partition == 1
    assert last_heard < verdict.silence.began == next_waits_from
    assert verdict.silence.ended == verdict.ended


def test_a_handover_is_told():
    """When the new release began, the silence around it, the overlap, its repeats and the late answers of the old."""
    right = history()
    late = right.answers[22]
    again = [answer(right.sends[n], "4", 1, right.answers[n].seen_at + 0.004) for n in (20, 21)]
    by_old = answer(right.sends[22], "4", 1, late.seen_at)
    answers = sorted([*right.answers[:22], by_old, *again, *right.answers[22:]], key=lambda one: one.seen_at)
    (told,) = right.judge(answers).handovers

    assert (told.release, told.version, told.after_release, told.at) == (2, "5", 1, right.answers[20].seen_at)
    assert told.silence_ms == pytest.approx(3)
    assert told.overlap_s == pytest.approx(0.02)
    assert (told.repeats, told.late) == (3, 1)
    assert problems(right.judge(answers), 2) == []


def test_an_old_release_that_answers_late_is_reported_and_no_fault():
    """A paused server that wakes up repeats old answers: no second hand-over, nothing missing, nothing wrong."""
    right = history()
    late = right.answers[-1].seen_at + 30
    zombie = [replace(one, seen_at=late, process="paused") for one in right.answers[10:20]]
    verdict = right.judge([*right.answers, *zombie])

    assert (verdict.repeats, len(verdict.handovers)) == (10, 1)
    assert problems(verdict, 2) == []


def test_the_figures_for_programs_have_exactly_these_names():
    """``demo --json`` promises fourteen names, counts and a list of version names, and is valid JSON."""
    figures = history().judge().to_json()
    counts = "sent acked answered missing rejected repeats wrong compared out_of_order"

    assert list(figures) == [*counts.split(), "p50_ms", "p99_ms", "longest_silence_ms", "versions", "duration_s"]
    assert (figures["missing"], figures["wrong"], figures["rejected"]) == (0, 0, 6)
    assert figures["versions"] == ["4", "5"]
    assert json.loads(json.dumps(figures)) == figures
    assert json.dumps(history().judge().details(), allow_nan=False)


def test_a_journal_that_is_being_written_can_be_read(tmp_path):
    """The half line at the end is left for the next time; fields that are not ours do not matter."""
    whole = {"request_id": "r", "partition": 1, "offset": 7, "sent_at": 1.0, "acked_at": 2.0, "error": None, "seq": 1}
    path = tmp_path / "sent.jsonl"
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole)[:20])
    journal = SendJournal(path)

    assert journal.new() == [Send("r", 1, 7, 1.0, 2.0, None)]
    assert journal.new() == []
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole | {"request_id": "s"}) + "\n")
    assert journal.new() == [Send("s", 1, 7, 1.0, 2.0, None)]


def test_what_was_read_of_a_journal_is_not_read_again(tmp_path):
    """However long it has become, a look costs what is new in it."""
    line = Send("räquest", 1, 7, 1.0, 2.0).to_json() + "\n"
    path = tmp_path / "sent.jsonl"
    path.write_text(line)
    journal = SendJournal(path)
    journal.new()

    path.write_text("?" * len(line.encode()) + line)

    assert journal.new() == [Send("räquest", 1, 7, 1.0, 2.0)]


def test_an_empty_journal_is_an_empty_list(tmp_path):
    """A sender that has just started has sent nothing, and one that is about to start has no journal."""
    (tmp_path / "sent.jsonl").write_text("")

    assert SendJournal(tmp_path / "sent.jsonl").new() == []
    assert SendJournal(tmp_path / "none.jsonl").new() == []


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12), st.data())
def test_what_is_unanswered_does_not_depend_on_when_it_is_looked_at(told, data):
    """Piece by piece, an answer seen before its request too, it comes to what the whole history says."""
    sends = [Send(f"r{n}", n % 2, n, 1.0, 2.0 if acked else None) for n, (acked, _) in enumerate(told)]
    answers = [Answer(f"r{n}", n % 2, n, "4", 1, 1.5, None, 3.0) for n, (_, answered) in enumerate(told) if answered]
    unanswered = Unanswered()
    sent = seen = 0
    while (sent, seen) != (len(sends), len(answers)):
        more, further = data.draw(st.integers(sent, len(sends))), data.draw(st.integers(seen, len(answers)))
        unanswered.note(sends[sent:more], answers[seen:further])
        sent, seen = more, further

    wanted = [f"r{n}" for n, (acked, answered) in enumerate(told) if acked and not answered]
    assert wanted == unanswered.ids == missing(sends, answers)


def test_a_request_at_an_offset_that_was_used_before_is_owed_an_answer_of_its_own():
    """A broker that lost the end of its log: what stood there was answered, what stands there now is another."""
    right = history()
    lost = right.sends[-1]
    again = replace(lost, request_id="again", sent_at=lost.sent_at + 1, acked_at=lost.sent_at + 1.001)
    first = [replace(one, in_timestamp=1) for one in right.answers]
    second = replace(first[-1], request_id="again", in_timestamp=2, seen_at=again.sent_at + 0.01)
    sends = [*right.sends, again]

    unanswered = check(sends, first, right.expected)
    answered = check(sends, [*first, second], right.expected)

    assert ("again",) == unanswered.missing
    assert ((), (), len(sends), 0) == (answered.missing, answered.wrong, answered.answered, answered.repeats)
