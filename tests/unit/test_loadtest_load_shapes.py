"""The courses of a load: how many requests a second are due when."""

import pytest

from loadtest.load_shapes import LoadShape, rate_at


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        (LoadShape.STEADY, [500, 500, 500, 500, 500]),
        (LoadShape.STEPS, [100, 200, 300, 400, 500]),
        (LoadShape.SPIKE, [100, 100, 500, 100, 100]),
    ],
)
def test_a_load_has_its_shape_in_fifths_of_its_time(shape, rates):
    """Of 50 s each ten have their rate, the first moment of them too."""
    assert rates == [rate_at(shape, 500, 50, began) for began in (0, 10, 20, 30, 40)]
    assert rates == [rate_at(shape, 500, 50, began + 9.9) for began in (0, 10, 20, 30, 40)]


@pytest.mark.parametrize("shape", LoadShape)
def test_nothing_is_due_outside_its_time_and_never_nothing_within(shape):
    """At its end a load is quiet; a rate of one is one throughout."""
    assert [0, 0, 0] == [rate_at(shape, 500, 50, moment) for moment in (-0.1, 50, 60)]
    assert {1} == {rate_at(shape, 1, 50, moment) for moment in range(50)}
