"""What is said of a batch, and when it is no new one."""

import pytest

from apps.common.batches import Batch, repeat_problems


def test_a_batch_is_read_from_the_line_that_the_dropper_prints():
    """
    Name, rows and content hash survive the journey from process to process, under the names that programs rely on.
    """
    batch = Batch("cars-0001", 500, "abc")

    assert '{"batch": "cars-0001", "rows": 500, "content_hash": "abc"}' == batch.to_json()
    assert batch == Batch.from_json(batch.to_json())


@pytest.mark.parametrize(
    ("is_used", "twin", "words"),
    [
        (False, None, []),
        (True, None, ["cars-0002 is used already"]),
        (False, "cars-0001", ["same content as cars-0001"]),
        (True, "cars-0001", ["same content as cars-0001", "cars-0002 is used already"]),
        (True, "cars-0002", ["same content as cars-0002"]),
    ],
)
def test_a_repeat_is_told_by_its_name_and_by_its_content(is_used, twin, words):
    """
    Either makes a batch a repeat, and both are told; the same batch dropped again is one problem.
    """
    problems = repeat_problems("cars-0002", is_used=is_used, twin=twin)

    assert len(words) == len(problems)
    assert all(word in problem for word, problem in zip(words, problems, strict=True))
