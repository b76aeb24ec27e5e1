"""The judge of a proof is judged: each of the ten invariants is red when its fault is planted, and green without it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.prover import page
from loadtest.prover.findings import WORST
from loadtest.prover.history import BROKEN, COMMAND, COMMAND_ENDED, ENDED, INTERRUPTED, ProofEvent, TopicRecord
from loadtest.prover.judge import OVERLAP_S, judge
from loadtest.prover.verdict import EXIT_CODES, Judgement
from tests.unit.proof_histories import BEGAN, COUNT, EVENTS, PLAN, echoed, expected, named, proof, sent, without

NOT_APPLICABLE = Judgement.NOT_APPLICABLE
PASSED, FAILED, UNKNOWN, NOT_ASKED = Judgement.PASSED, Judgement.FAILED, Judgement.UNKNOWN, Judgement.NOT_ASKED
picks = st.integers(0, COUNT - 1)
briefly = settings(max_examples=10, deadline=None)


def outcomes(verdict):
    """The numbers of the invariants that came out so."""
    return {one.number: one.outcome for one in verdict.invariants}


def not_passed(verdict):
    """The invariants that were asked for and did not pass."""
    return {number for number, outcome in outcomes(verdict).items() if outcome in (FAILED, UNKNOWN)}


def seen(verdict):
    """Kind -> how many."""
    return {one.kind: one.total for one in verdict.seen}


def test_a_right_proof_passes_and_says_of_how_many():
    """Nothing is lost; that 0 of 400 is not never is said, and what was not asked for does not pass."""
    verdict = judge(proof())

    assert (PASSED, set(), {}) == (verdict.outcome, not_passed(verdict), seen(verdict))
    assert {5, 6, 7, 9} == {number for number, outcome in outcomes(verdict).items() if outcome is NOT_ASKED}
    assert "0 of 400 lost: with 95 % confidence fewer than 1 in 133" == verdict.sentence
    assert verdict.sent_per_s == pytest.approx(100)


def test_a_right_proof_of_a_server_with_our_headers_passes_in_all_it_was_asked_for():
    """Release, values and bounds are judged too, and the hand-over is seen."""
    right = proof(named, min_versions=2, max_silence_s=1, max_latency_s=1)
    verdict = judge(replace(right, expected=expected()))

    assert (PASSED, {7}) == (verdict.outcome, {n for n, o in outcomes(verdict).items() if o is NOT_ASKED})
    assert [2] == [handover.release for handover in verdict.ledger.handovers]
    assert COUNT == next(one for one in verdict.invariants if one.number == 6).evaluated


@pytest.mark.parametrize("answer", [echoed, named])
@briefly
@given(pick=picks)
def test_1_and_8_a_request_without_an_answer_is_lost_and_owed(answer, pick):
    """The verdict names it, whether the server writes our headers or not."""
    right = proof(answer)
    verdict = judge(replace(right, answers=without(right.answers, pick)))

    assert FAILED is verdict.outcome
    assert {1, 8} <= not_passed(verdict)
    assert verdict.seen[0].worst[0].startswith(f"{PLAN.request_id(pick)} ")
    assert "1 of 400 lost" == verdict.sentence


def test_1_a_server_that_gives_its_answers_other_keys_is_told_so():
    """All are lost, and the reason is the one thing that the server must do; where some have theirs it is none."""
    right = proof()
    others = replace(right, answers=[], others=400, other_key="7")
    verdict = judge(others)

    assert {1, 8} <= not_passed(verdict)
    why = "400 records came to answered with other keys; an answer needs the key of its request; the last had '7'"
    assert why in verdict.invariants[0].reasons
    assert "others    400 records of others were passed over" in page.lines(verdict)
    assert "the last had none" in str(judge(replace(others, other_key=None)).invariants[0].reasons)
    assert "other keys" not in str(judge(replace(others, answers=right.answers[1:])).invariants[0].reasons)
    assert "passed over" not in "".join(page.lines(judge(right)))


@briefly
@given(pick=picks)
def test_2_a_repeat_is_forbidden_unless_it_is_allowed(pick):
    """It is counted either way, and is the only thing that is."""
    right = proof()
    twice = [*right.answers, echoed(pick)]

    strict = judge(replace(right, answers=twice))
    assert (FAILED, {2}, {"repeats": 1}) == (strict.outcome, not_passed(strict), seen(strict))
    lenient = judge(replace(right, answers=twice, plan=replace(PLAN, allow=("repeats",))))
    assert (PASSED, {"repeats": 1}) == (lenient.outcome, seen(lenient))


def test_3_an_answer_to_what_was_never_sent_or_was_refused_is_unasked():
    """An id of this run that no journal and no topic has; those of others are nobody's here."""
    right = proof()
    refused = replace(sent(COUNT), acked_at=None, partition=None, offset=None, refused=True, error="too large")
    invented = TopicRecord(PLAN.request_id(9_999), 0, 900, BEGAN + 5)
    answered = replace(invented, key=refused.request_id)
    verdict = judge(replace(right, sends=[*right.sends, refused], answers=[*right.answers, invented, answered]))

    assert ({3}, {"unasked": 2, "refused": 1}) == (not_passed(verdict), seen(verdict))
    assert judge(replace(right, answers=[*right.answers, replace(invented, key="another-7")])).outcome is PASSED


def test_3_an_answer_that_names_another_place_is_misplaced():
    """With our headers an answer says which request it means."""
    right = proof(named)
    elsewhere = replace(right.answers[10], request_id=right.answers[12].request_id)
    verdict = judge(replace(right, answers=[*right.answers, elsewhere]))

    assert 3 in not_passed(verdict)
    assert 1 == seen(verdict)["misplaced"]


@briefly
@given(pick=st.integers(0, COUNT - 3))
def test_4_answers_that_change_places_are_reordered(pick):
    """Nothing is lost, and the order of a partition is broken."""
    right = proof()
    swapped = list(right.answers)
    swapped[pick], swapped[pick + 2] = swapped[pick + 2], swapped[pick]
    verdict = judge(replace(right, answers=swapped))

    assert ({4}, {"reordered": 1}) == (not_passed(verdict), seen(verdict))


def test_4_a_writer_that_leaves_a_request_to_another_has_broken_its_order():
    """Its answers must be a prefix of its requests."""
    right = proof(named)
    by_another = replace(right.answers[20], process="another")
    verdict = judge(replace(right, answers=[*right.answers[:20], by_another, *right.answers[21:]]))

    assert ({4}, 1) == (not_passed(verdict), seen(verdict)["skipped"])


def test_5_a_release_that_comes_back_is_seen():
    """Side by side with the new one it may answer for a while, and no longer."""
    right = proof(named)
    last = right.answers[-1]

    def with_late_answer_of_release_1(seconds):
        seen_at = right.answers[COUNT // 2 + 1].seen_at + seconds
        late = replace(last, release=1, model_version="4", process="an old one", seen_at=seen_at)
        return judge(replace(right, answers=[*right.answers[:-1], late]))

    assert {5} == not_passed(with_late_answer_of_release_1(OVERLAP_S + 1))
    assert set() == not_passed(with_late_answer_of_release_1(OVERLAP_S - 1))


def test_6_a_value_that_its_version_does_not_predict_is_wrong():
    """One altered price."""
    right = replace(proof(named), expected=expected())
    altered = replace(right.answers[7], prediction=101.0)
    verdict = judge(replace(right, answers=[*right.answers[:7], altered, *right.answers[8:]]))

    assert ({6}, {"wrong": 1}) == (not_passed(verdict), seen(verdict))


def test_7_a_poison_must_be_rejected_with_its_reason():
    """Answered with a price, or rejected for another reason, it is red; unasked for it is not judged."""
    right = proof(named, poison=(("mileage must be a number", "{}"),))
    poisons = [n for n in range(COUNT) if right.plan.reason_of(PLAN.request_id(n))]
    rejected = [
        replace(one, prediction=None, rejection="mileage must be a number; got 'x'") if at in poisons else one
        for at, one in enumerate(right.answers)
    ]
    green = judge(replace(right, answers=rejected))
    other = replace(rejected[poisons[1]], rejection="price must be a number")
    red = judge(replace(right, answers=[other if one is rejected[poisons[1]] else one for one in rejected]))

    assert (4, PASSED, set()) == (len(poisons), outcomes(green)[7], not_passed(green))
    assert ({7}, 1) == (not_passed(red), seen(red)["poison"])
    assert 4 == seen(judge(right))["poison"]


def test_9_silence_and_latency_beyond_what_was_stated_are_red():
    """One answer that takes 2 s; its partition's others go on."""
    slow = [replace(one, seen_at=one.seen_at + 2) if at == COUNT - 1 else one for at, one in enumerate(proof().answers)]

    verdict = judge(replace(proof(max_latency_s=1, max_silence_s=1), answers=slow))
    assert ({9}, {"latency": 1, "silence": 1}) == (not_passed(verdict), seen(verdict))
    assert set() == not_passed(judge(replace(proof(max_latency_s=3, max_silence_s=3), answers=slow)))


def events_without(*kinds, more=()):
    """The usual ones but for those."""
    return [*(event for event in EVENTS if event.kind not in kinds), *more]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"plan": replace(PLAN, min_requests=401)}, "at least 401 requests must be acknowledged; got 400"),
        ({"plan": replace(PLAN, min_versions=1)}, "at least 1 versions; got none"),
        ({"events": events_without(COMMAND, COMMAND_ENDED)}, "the command must run; it did not"),
        (
            {"events": events_without(COMMAND_ENDED, more=[ProofEvent(COMMAND_ENDED, BEGAN + 2, exit_code=3)])},
            "the command must end well; got exit code 3",
        ),
        (
            {"events": events_without(COMMAND_ENDED, more=[ProofEvent(COMMAND_ENDED, BEGAN + 2)])},
            "the command must end well; got none in its time",
        ),
        (
            {"events": events_without(COMMAND, more=[ProofEvent(COMMAND, BEGAN - 1)])},
            "requests must be sent before the command",
        ),
    ],
    ids=["few requests", "no hand-over", "no command", "bad command", "endless command", "no traffic before it"],
)
def test_10_a_run_that_could_not_have_shown_a_fault_fails(change, why):
    """However right all the rest is."""
    verdict = judge(replace(proof(), **change))

    assert FAILED is verdict.outcome
    assert any(why in reason for one in verdict.invariants if one.number == 10 for reason in one.reasons)


def without_sends_of(began, ended):
    """The usual proof with nothing sent between these seconds of it."""
    right = proof()
    kept = [n for n, send in enumerate(right.sends) if not began <= send.sent_at - BEGAN <= ended]
    parts = {name: [getattr(right, name)[n] for n in kept] for name in ("sends", "requests", "answers")}
    return replace(right, **parts)


def test_10_requests_must_be_sent_while_the_command_runs():
    """A sender that paused just then would have seen nothing of what it did."""
    during = "requests must be sent before the command, while it runs and after it"
    paused = judge(without_sends_of(0.99, 2.01))
    longer = events_without(COMMAND_ENDED, more=[ProofEvent(COMMAND_ENDED, BEGAN + 3.5, exit_code=0)])
    gap = judge(replace(without_sends_of(1.5, 2.6), events=longer))
    moment = events_without(COMMAND_ENDED, more=[ProofEvent(COMMAND_ENDED, BEGAN + 1.015, exit_code=0)])

    assert [during in str(one.invariants[9].reasons) for one in (paused, gap)] == [True, False]
    assert "requests must be sent all the time that the command runs; got none for 1.1 s" in str(gap.invariants[9])
    assert PASSED is judge(replace(without_sends_of(1.0, 1.018), events=moment)).outcome
    assert PASSED is judge(without_sends_of(1.1, 1.9)).outcome


@pytest.mark.parametrize(
    ("unknown", "share", "red"), [(1, {}, {10}), (20, {"max_unknown": 0.05}, set()), (21, {"max_unknown": 0.05}, {10})]
)
def test_10_too_many_unknown_requests_prove_nothing(unknown, share, red):
    """One that nobody knows of is neither lost nor answered; many of them are no proof. The bound is in it."""
    right, known = proof(**share), COUNT - unknown
    lost = [replace(one, acked_at=None, partition=None, offset=None, error="?") for one in right.sends[known:]]
    verdict = judge(
        replace(
            right,
            sends=[*right.sends[:known], *lost],
            requests=right.requests[:known],
            answers=right.answers[:known],
        )
    )

    assert (red, {"unknown": unknown}) == (not_passed(verdict), seen(verdict))


def test_an_invariant_that_was_asked_for_and_never_evaluated_fails():
    """No request at all: nothing is lost, and nothing is proven."""
    verdict = judge(replace(proof(max_latency_s=1), sends=[], requests=[], answers=[]))

    assert FAILED is verdict.outcome
    assert {1, 2, 3, 4, 9, 10} == not_passed(verdict)
    asked_in_vain = judge(replace(proof(named), expected=[replace(expected()[0], model_version="another")]))
    assert 6 in not_passed(asked_in_vain)


@pytest.mark.parametrize("event", [INTERRUPTED, BROKEN])
def test_a_record_that_was_cut_short_is_unknown_unless_it_shows_a_fault(event):
    """What has no answer yet may have been on its way; what was repeated was repeated."""
    right = replace(proof(), events=events_without(ENDED, more=[ProofEvent(event, BEGAN + 5)]))
    owing = replace(right, answers=without(right.answers, 5))

    assert (UNKNOWN, {8, 10}) == (judge(right).outcome, not_passed(judge(right)))
    assert (UNKNOWN, {1, 8, 10}) == (judge(owing).outcome, not_passed(judge(owing)))
    assert "1 of 400 not seen answered" == judge(owing).sentence
    assert FAILED is judge(replace(right, answers=[*right.answers, right.answers[0]])).outcome


@pytest.mark.parametrize("ended", [[], [ProofEvent(ENDED, BEGAN + 5)]])
def test_a_run_that_was_ended_before_it_could_show_anything_is_unknown(ended):
    """Nothing was asked yet, and that is nobody's fault."""
    begun = replace(proof(), sends=[], requests=[], answers=[], events=[ProofEvent(INTERRUPTED, BEGAN), *ended])

    assert UNKNOWN is judge(begun).outcome


def test_a_proof_without_a_command_that_is_interrupted_is_judged_as_it_is():
    """Ctrl-C ends the traffic; the quiet phase was reached, so all is known."""
    right = replace(proof(command=""), events=[*EVENTS, ProofEvent(INTERRUPTED, BEGAN + 3)])

    assert PASSED is judge(right).outcome
    during = [one for one in EVENTS if one.kind != COMMAND_ENDED]
    during += [ProofEvent(INTERRUPTED, BEGAN + 1.5), ProofEvent(COMMAND_ENDED, BEGAN + 1.5, "ended by the prover")]
    assert UNKNOWN is judge(replace(proof(), events=during)).outcome


def test_a_request_that_stands_twice_is_the_clients_doing():
    """Two answers are no repeat, and no invariant of the server fails; with our headers both are owed an answer."""
    right = proof()
    again = replace(right.requests[8], offset=900)
    twice = replace(right, requests=[*right.requests, again], answers=[*right.answers, echoed(8)])

    assert (PASSED, {"sent-twice": 1}) == (judge(twice).outcome, seen(judge(twice)))
    assert {1, 8} == not_passed(judge(replace(twice, answers=proof(named).answers)))


@pytest.mark.parametrize("acknowledged", [0, 1], ids=["the first", "the second"])
def test_a_server_that_knows_keys_alone_owes_one_answer_to_each(acknowledged):
    """Whichever of the two the client was told of: to such a server they are one request."""
    right = proof()
    at, again = right.requests[8], replace(right.requests[8], offset=900)
    requests = [*right.requests[:9], again, *right.requests[9:]]
    told = replace(right.sends[8], offset=(at, again)[acknowledged].offset)
    once = replace(right, requests=requests, sends=[*right.sends[:8], told, *right.sends[9:]])

    for recorded in (once, replace(once, sends=without(right.sends, 8))):  # a killed sender did not write it down
        verdict = judge(recorded)
        assert (PASSED, {"sent-twice": 1}, COUNT) == (verdict.outcome, seen(verdict), verdict.ledger.acked)
        assert {1, 8} == not_passed(judge(replace(recorded, answers=without(right.answers, 8))))


def test_an_unknown_request_that_stands_in_the_topic_is_owed_an_answer():
    """Its acknowledgement was lost; a sender that was killed did not even write it down."""
    right = proof()
    unknown = replace(sent(5), acked_at=None, partition=None, offset=None, error="timed out")
    sends = [*right.sends[:5], unknown, *right.sends[6:-1]]
    verdict = judge(replace(right, sends=sends))

    assert (PASSED, COUNT) == (verdict.outcome, verdict.ledger.acked)
    assert "1 of 400 lost" == judge(replace(right, sends=sends, answers=without(right.answers, 5))).sentence
    assert "1 of 400 lost" == judge(replace(right, sends=sends, answers=right.answers[:-1])).sentence


def test_answers_to_requests_that_stand_nowhere_known_are_no_repeats_of_each_other():
    """The sender was killed before the acknowledgement, and the topic was not read so far."""
    right = proof()
    unknown = [replace(sent(n), acked_at=None, partition=None, offset=None, error="?") for n in (COUNT, COUNT + 1)]
    answered = replace(
        right, sends=[*right.sends, *unknown], answers=[*right.answers, echoed(COUNT), echoed(COUNT + 1)]
    )
    verdict = judge(replace(answered, plan=replace(PLAN, max_unknown=0.05)))

    assert (PASSED, {"unknown": 2}) == (verdict.outcome, seen(verdict))


def test_the_worst_of_a_kind_are_told_and_the_rest_counted():
    """A hundred lost: twenty by name."""
    right = proof()
    lost = next(one for one in judge(replace(right, answers=right.answers[100:])).seen if one.kind == "lost")

    assert (100, WORST, True) == (lost.total, len(lost.worst), lost.forbidden)


def test_failed_beats_unknown_and_each_has_its_exit_code():
    """Of whatever a program asks, the exit code tells."""
    assert {PASSED: 0, FAILED: 1, UNKNOWN: 2} == EXIT_CODES


def over_http(*turned_away, **plan):
    """A right proof over HTTP but for those requests, which no server took."""
    right = proof(http="http://nowhere:1", **plan)
    sends = [
        replace(send, acked_at=None, error="refused", refused=True) if n in turned_away else send
        for n, send in enumerate(right.sends)
    ]
    return replace(right, sends=sends, requests=[], answers=without(right.answers, *turned_away))


def test_over_http_what_needs_a_topic_is_said_to_be_not_applicable():
    """It does not pass; what can be judged does, and the page says so."""
    verdict = judge(over_http())

    assert (PASSED, "0 of 400 lost: with 95 % confidence fewer than 1 in 133") == (verdict.outcome, verdict.sentence)
    assert {2, 3, 4, 5, 6} == {n for n, outcome in outcomes(verdict).items() if outcome is NOT_APPLICABLE}
    assert {1, 8, 10} == {n for n, outcome in outcomes(verdict).items() if outcome is PASSED}
    assert "not applicable  over HTTP requests have no order" in "\n".join(page.lines(verdict))


def test_over_http_a_request_without_an_answer_is_lost_with_what_came_instead():
    """As in a topic, it is owed."""
    right = over_http()
    verdict = judge(replace(right, answers=without(right.answers, 7), unanswered={"prove-1-7": "answered 503"}))

    assert (FAILED, {1, 8}, "1 of 400 lost") == (verdict.outcome, not_passed(verdict), verdict.sentence)
    assert ["prove-1-7: answered 503"] == verdict.seen[0].worst


def test_over_http_nobody_may_be_turned_away_unless_that_is_allowed():
    """Nothing keeps such a request until a server comes; that none was taken for a while is no gap in what was sent."""
    away = range(95, 210)  # all the time that the command runs
    verdict = judge(over_http(*away))

    assert (FAILED, {1}, {"turned-away": 115}) == (verdict.outcome, not_passed(verdict), seen(verdict))
    assert "0 of 285 lost, 115 turned away" == verdict.sentence
    assert "prove-1-95: refused" == verdict.seen[0].worst[0]
    assert PASSED is judge(over_http(*away, allow=("turned-away",))).outcome


@pytest.mark.parametrize(
    ("unsent", "held_back", "outcome"),
    [
        ((1.5, 2.6), [(1.5, 2.6)], UNKNOWN),
        ((1.5, 2.6), [(1.495, 2.0), (2.01, 2.6)], UNKNOWN),
        ((1.5, 2.6), [(1.5, 1.55)], FAILED),
        ((1.5, 2.6), [(1.0, 1.495)], FAILED),
        ((1.5, 2.6), [], FAILED),
        ((1.0, 3.5), [(1.0, 3.5)], UNKNOWN),
        ((1.5, 4.0), [(1.5, 4.0)], UNKNOWN),
        ((1.5, 4.0), [(1.5, 3.4)], FAILED),
        ((1.5, 2.4), [], PASSED),
        ((1.5, 2.4), [(1.5, 2.4)], PASSED),
    ],
)
def test_over_http_a_gap_that_the_provers_own_limit_made_is_no_fault_of_the_server(unsent, held_back, outcome):
    """A server stalled and answered all: nothing was sent since as many as may be were under way, so nobody knows."""
    longer = events_without(COMMAND_ENDED, more=[ProofEvent(COMMAND_ENDED, BEGAN + 3.5, exit_code=0)])
    held = [(BEGAN + since, BEGAN + until) for since, until in held_back]
    shown = replace(without_sends_of(*unsent), requests=[], plan=over_http(in_flight=8).plan)
    verdict = judge(replace(shown, events=longer, held_back=held))

    told = str(verdict.invariants[9].reasons)
    assert (outcome, {10} if outcome is not PASSED else set()) == (verdict.outcome, not_passed(verdict))
    assert (outcome is UNKNOWN) is ("all 8 that may be under way were; raise --in-flight" in told)
    assert (outcome is FAILED) is ("see posting.log" in told)


@pytest.mark.parametrize(("held_s", "outcome"), [(0.2, FAILED), (0.3, UNKNOWN)])
def test_over_http_too_few_requests_by_the_provers_own_limit_prove_nothing_either_way(held_s, outcome):
    """Those that were held back would have been enough, or not."""
    few = over_http(min_requests=COUNT + 25, in_flight=8)
    verdict = judge(replace(few, held_back=[(BEGAN, BEGAN + held_s)]))

    assert (outcome, {10}) == (verdict.outcome, not_passed(verdict))
    assert "at least 425 requests must be acknowledged; got 400" in verdict.invariants[9].reasons[0]


def test_what_more_there_is_to_read_is_in_the_log_of_who_sent():
    """Over HTTP that is another one."""
    unknown = replace(sent(0), acked_at=None, partition=None, offset=None, error="?")

    def told(right):
        one_less = replace(
            right, sends=[unknown, *right.sends[1:]], requests=right.requests[1:], answers=right.answers[1:]
        )
        return str(judge(one_less).invariants[9].reasons)

    assert ("see sending.log" in told(proof()), "see posting.log" in told(over_http())) == (True, True)
