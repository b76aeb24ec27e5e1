"""What the chart of a run shows."""

from xml.etree import ElementTree as ET

from matplotlib import image

from apps.common.messages import Answer
from loadtest.chart import DOTS_PER_SLICE, INK, LIGHT, SLICES, draw, thinned, write_png
from loadtest.timing import RequestWait
from tests.unit.sample_run import BEGAN, run


def test_the_picture_shows_what_happened():
    """Dots in one colour per version, a band for the training, the hand-over's silence, a cross per lost request."""
    svg = draw(run(lost=3), [BEGAN + 1], [((BEGAN + 1, BEGAN + 3), "2 s")])
    groups = {node.get("id"): node for node in ET.fromstring(svg).iter() if node.get("id")}  # noqa: S314
    uses = {name: len(groups[name].findall(".//{*}use")) for name in ("v0", "v1", "missing")}

    assert uses["v0"] > uses["v1"] > 0
    assert uses["missing"] == 3
    assert all(f"var(--{name})" in ET.tostring(groups[name], encoding="unicode") for name in ("v0", "v1"))
    assert "release 2: silence" in svg
    assert "release 2, version 5" in svg
    assert "#0a0a0" not in svg
    assert "#0b0b0" not in svg


def test_the_chart_for_a_page_without_colours_of_its_own_has_light_ones(tmp_path):
    """The PNG is small, and every stand-in colour has become one that can be seen."""
    write_png(run(lost=3), [BEGAN + 1], [((BEGAN + 1, BEGAN + 3), "2 s")], tmp_path / "chart.png")
    pixels = (image.imread(tmp_path / "chart.png")[:, :, :3] * 255).round().astype(int).reshape(-1, 3)
    colours = {"#{:02x}{:02x}{:02x}".format(*pixel) for pixel in pixels}

    assert (tmp_path / "chart.png").stat().st_size < 100_000
    assert LIGHT[INK] in colours
    assert not set(LIGHT) & colours


def test_thinning_keeps_every_peak():
    """However many answers share a moment, the slowest of it is drawn, and the number of dots stays bounded."""
    answers = [Answer(f"r{n}", 0, n, "1", 1, 1.0, None, n / 1000 + 0.002 + (n % 997 == 0)) for n in range(60_000)]
    waits = [RequestWait(0, n / 1000, answer) for n, answer in enumerate(answers)]
    kept = thinned(waits, 0.0, 60.0)

    assert len(kept) <= (SLICES + 1) * DOTS_PER_SLICE
    slowest = {int(wait.sent_at / 60 * SLICES) for wait in waits if wait.ms > 900}
    assert slowest == {int(wait.sent_at / 60 * SLICES) for wait in kept if wait.ms > 900}
