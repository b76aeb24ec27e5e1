"""What the requests of a proof say."""

import itertools

from loadtest.prover.plan import PAYLOADS, POISON_EACH
from loadtest.prover.sending import payloads
from tests.unit.proof_histories import PLAN, proof


def first(count, plan, folder):
    """The first so many payloads."""
    return list(itertools.islice(payloads(plan, folder), count))


def test_without_a_file_each_request_is_another(tmp_path):
    """A number of its own."""
    assert [b'{"request": 0}', b'{"request": 1}'] == first(2, PLAN, tmp_path)


def test_the_lines_of_a_file_go_round(tmp_path):
    """One a request."""
    (tmp_path / PAYLOADS).write_bytes(b"one\ntwo\n")

    assert [b"one", b"two", b"one"] == first(3, PLAN, tmp_path)


def test_one_request_in_a_hundred_is_a_poison_in_turn(tmp_path):
    """And the plan knows by its id which, and why it must be rejected."""
    plan = proof(poison=(("bad", "{"), ("worse", "["))).plan
    sent = first(3 * POISON_EACH, plan, tmp_path)
    reasons = [plan.reason_of(plan.request_id(number)) for number in range(3 * POISON_EACH)]

    assert [b"{", b"[", b"{"] == [payload for payload in sent if payload in b"{["]
    assert ["bad", "worse", "bad"] == [reason for reason in reasons if reason]
    assert all((payload in b"{[") is bool(reason) for payload, reason in zip(sent, reasons, strict=True))
    assert plan.reason_of("another-50") is None
