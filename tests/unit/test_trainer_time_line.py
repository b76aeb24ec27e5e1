"""The picture of where the time of a training went."""

from apps.common.steps import StepSpan
from apps.trainer.time_line import draw


def test_each_step_has_a_bar_from_its_begin_to_its_end():
    """The first step is on top, as it is read; behind each bar stands what it took, above all the whole."""
    (axes,) = draw([StepSpan("read", 0.0, 2.0), StepSpan("train", 2.5, 12.0)]).axes

    boxes = [bar.get_path().get_extents(bar.get_patch_transform()) for bar in axes.patches]
    assert [(0.0, 2.0), (2.5, 12.0)] == [(box.x0, box.x1) for box in boxes]
    assert ["read", "train"] == [label.get_text() for label in axes.get_yticklabels()]
    assert axes.yaxis_inverted()
    assert {"2.0 s", "9.5 s"} <= {text.get_text() for text in axes.texts}
    assert "12.0 s" == axes.get_title()
