"""The picture of a version's predictions shows what it is given."""

import io

import numpy as np

from apps.trainer.prediction_picture import BANDS, draw


def test_the_picture_of_a_regression_shows_every_row_and_its_error():
    """A dot for each test row, and a box for each tenth of them around their errors."""
    labels = np.arange(1000.0)
    figure = draw("regression", "price ($ or $1000)", labels, labels + 5)
    dots, boxes = figure.axes

    figure.savefig(io.BytesIO())
    assert 1000 == len(dots.collections[0].get_offsets())
    assert BANDS == len(boxes.get_xticklabels())
    assert {5.0} == {line.get_ydata()[0] for line in boxes.lines[4::5][:BANDS]}


def test_the_picture_of_a_binary_task_shows_the_share_of_each_band():
    """Where one half is given 0.2 and is always 0, and the other 0.9 and always 1."""
    labels = np.repeat([0.0, 1.0], 50)
    shares, classes = draw("binary", "sold", labels, np.where(labels == 1, 0.9, 0.2)).axes
    found = shares.lines[1].get_xydata()

    assert np.allclose([0.2, 0], found[0])
    assert np.allclose([0.9, 1], found[-1])
    assert ["class 0", "class 1"] == [text.get_text() for text in classes.get_legend().get_texts()]


def test_few_rows_make_few_bands():
    """A test part has ten rows at least, and a picture of three is one, too."""
    assert 3 == len(draw("regression", "y", np.arange(3.0), np.arange(3.0)).axes[1].get_xticklabels())
