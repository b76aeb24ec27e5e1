"""The order of one process's answers: histories in order, and the same with answers moved, doubled or left out."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.common.messages import Answer, Send
from loadtest.answer_order import KEPT, judge_order
from loadtest.ledger import check, problems

briefly = settings(max_examples=25, deadline=None)  # a busy machine is no failure
picks = st.integers(0, 10_000)
counts = st.integers(8, 60)


def sends(count):
    """Requests in turn on two partitions."""
    return [Send(f"r{n}", n % 2, n // 2, 1.0, 2.0) for n in range(count)]


def answers(count, process="one", release=1):
    """One process's answers to all of them, in order."""
    return [
        Answer(f"r{n}", n % 2, n // 2, "4", release, 1.5, None, 3.0, process=process, topic_id="t")
        for n in range(count)
    ]


@briefly
@given(counts)
def test_answers_one_after_the_other_are_in_order(count):
    """All but the first of each partition follow another, and none breaks the order."""
    judgement = judge_order(sends(count), answers(count))

    assert (count - 2, 0, ()) == (judgement.judged, judgement.broken, judgement.first)


@briefly
@given(counts, picks)
def test_two_answers_that_change_places_break_the_order(count, pick):
    """Nothing is missing and nothing wrong, and the run fails all the same."""
    swapped, at = answers(count), pick % (count - 3)
    swapped[at], swapped[at + 2] = swapped[at + 2], swapped[at]
    verdict = check(sends(count), swapped, [])

    assert ((), ()) == (verdict.missing, verdict.wrong)
    assert any("must answer a partition's requests in order" in sentence for sentence in problems(verdict))
    assert f"it went back from {at // 2 + 1} to {at // 2}" in {one.reason for one in verdict.order.first}


@briefly
@given(counts, picks)
def test_an_answer_that_the_process_gives_twice_breaks_the_order(count, pick):
    """Right behind the first or later: a process never answers a request again."""
    doubled, at = answers(count), pick % count
    doubled.insert(at + 1 + pick % (count - at), doubled[at])

    assert judge_order(sends(count), doubled).broken in (1, 2)  # the next one behind it may leave something out


@briefly
@given(counts, picks)
def test_an_answer_left_out_breaks_the_order_though_another_process_gave_it(count, pick):
    """The request is answered, and still the process that passed it over has broken its promise."""
    at = pick % (count - 4) + 2
    left_out = answers(count)
    other = replace(left_out.pop(at), process="two")
    verdict = check(sends(count), [*left_out, other], [])
    follows = at < count - 2

    assert () == verdict.missing
    assert follows == verdict.order.broken
    assert follows == any(f"left out {other.in_offset}" in one.reason for one in verdict.order.first)


def test_an_offset_without_an_acknowledged_request_may_be_left_out():
    """A commit marker, a request of somebody else, one that nobody acknowledged: nobody waits for an answer to it."""
    asked = sends(20)
    asked[6] = replace(asked[6], acked_at=None)
    given_ = [one for one in answers(20) if one.in_offset != 3 or one.in_partition]

    assert 0 == judge_order(asked, given_).broken
    assert 1 == judge_order(sends(20), given_).broken


def test_processes_releases_and_topics_are_judged_apart():
    """An overlap repeats, a restart begins anew at the tail, a topic made anew begins at 0: none of it is a fault."""
    old, new = answers(20), answers(20, "two", release=2)
    overlap = [one for pair in zip(old[10:], new, strict=False) for one in pair]
    anew = [replace(one, topic_id="u") for one in old]

    assert 0 == judge_order(sends(20), [*old[:10], *overlap, *new[10:], *anew]).broken


def test_what_names_no_process_is_not_judged():
    """Two processes of an earlier Baton cannot be told apart, and a verdict without a judgement shows no zero."""
    nameless = [replace(one, process=None) for one in answers(20)]
    verdict = check(sends(20), [*nameless, *nameless], [])

    assert (0, 0) == (verdict.order.judged, verdict.order.broken)
    assert verdict.to_json()["out_of_order"] is None
    assert [] == problems(verdict)


def test_the_answers_to_other_runs_are_judged_too():
    """Whose request it was does not matter to the order of the process that answers."""
    strangers = [replace(one, request_id=f"other-{n}") for n, one in enumerate(answers(20))]

    assert 1 == judge_order([], [*strangers, strangers[9]]).broken


@pytest.mark.parametrize(
    ("again", "broken", "strictly"),
    [
        (range(4, 20), 0, 1),  # from where its task began
        ([4, 6], 1, 2),  # nothing left out, though it is the second time
        ([4, 5, 7, 6], 1, 3),
        ([1, 2, 3], 1, 1),  # never further back than it began
    ],
)
def test_a_server_that_lost_an_executor_answers_again_from_where_its_task_began(again, broken, strictly):
    """With executors one step back is no fault; without them it is."""
    asked = [Send(f"r{n}", 0, n, 1.0, 2.0) for n in range(20)]
    first = [Answer(f"r{n}", 0, n, "4", 1, 1.5, None, 3.0, process="one") for n in range(2, 12)]
    seen = [*first, *(replace(first[0], in_offset=n, request_id=f"r{n}") for n in again)]

    assert broken == judge_order(asked, seen, executors=True).broken
    assert strictly == judge_order(asked, seen).broken


def test_only_the_first_breaks_are_kept():
    """A thousand repeats are counted, and twenty told."""
    backwards = answers(1000)[::-1]
    judgement = judge_order(sends(1000), backwards)

    assert (998, KEPT) == (judgement.broken, len(judgement.first))
