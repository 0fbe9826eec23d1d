"""The paper's picture figures: which images, which columns, and what is written below."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import UsageError
from reports.figures import paper
from reports.figures.paper import draw_figure, select_images
from reports.figures.run_images import RunImage
from reports.inputs import Facts

PASSES = ["reconstruction", "smile+", "pose-3"]
STRENGTHS = {("warpres", "smile+"): 3.0, ("e4e", "smile+"): 3.0, ("warpres", "pose-3"): -3.0}
FACTS = Facts(strengths=STRENGTHS, titles={"warpres": "WarpRes"})


def images(count: int = 5) -> list[RunImage]:
    found = []
    for number in range(count):
        image = Image.new("RGB", (16, 16), (40 * number, 0, 0))
        made = {(method, column): image for method in ("e4e", "warpres") for column in PASSES}
        del made["e4e", "pose-3"]
        flows = {("warpres", column): np.ones((2, 8, 8), np.float32) for column in PASSES}
        found.append(RunImage(str(number), image, made, {}, flows))
    return found


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):  # noqa: ANN201
    """What `compose` was asked for: (heads, names, rows, legend, foot)."""
    asked: dict[str, tuple] = {}
    compose = paper.compose

    def remember(name: str, caption: str, title: str, *rest):  # noqa: ANN002, ANN202
        asked[name] = rest
        return compose(name, caption, title, *rest)

    monkeypatch.setattr(paper, "compose", remember)
    return asked


def test_images_are_chosen_by_rule_or_by_name() -> None:
    assert select_images(images(), 2).names == ("0", "1")
    assert select_images(images(), 3, "spread").names == ("0", "2", "4")
    assert select_images(images(), 99).names == ("0", "1", "2", "3", "4")
    asked = select_images(images(), 2, asked=["3", "1"])
    assert asked.names == ("3", "1") and asked.why == "asked for by name"
    # Whole names, as manifest and failures have them, are as good.
    assert select_images(images(), 2, asked=["3.jpg", "1"]).names == ("3", "1")
    with pytest.raises(UsageError, match="unknown image of this run '9'"):
        select_images(images(), 2, asked=["9"])


def test_figure_1_is_a_row_a_photograph(drawn: dict) -> None:
    draw_figure(1, images(), PASSES, FACTS, select_images(images(), 2))
    heads, names, rows, legend, foot = drawn["figure1"]
    assert heads == ["Input", "Inversion", "Smile +", "Pose −3"]
    assert names == ["0", "1"] and all(field.image for row in rows for field in row) and legend is None
    assert foot[0] == "Images: 0, 1 (the first 2 of the 5 the run kept)."
    assert foot[1:] == ["Strengths of WarpRes: smile+ +3, pose-3 -3."]


@pytest.mark.parametrize("number", [3, 4, 5])
def test_figures_3_to_5_have_the_methods_across(number: int, drawn: dict) -> None:
    draw_figure(number, images(), PASSES, FACTS, select_images(images(), 1))
    heads, names, rows, _, _ = drawn[f"figure{number}"]
    assert heads == ["Input", "e4e", "WarpRes"]
    assert names == ["0, Inversion", "0, Smile +", "0, Pose −3"]
    assert rows[2][1].image is None and rows[2][2].image is not None


def test_figure_6_shows_each_methods_own_views_and_costs(drawn: dict) -> None:
    draw_figure(6, images(), PASSES, FACTS, select_images(images(), 1), costs={"e4e": "1.9 s an image."})
    heads, _, _, _, foot = drawn["figure6"]
    assert heads[1:] == ["e4e: Inversion", "e4e: Smile +", "WarpRes: Inversion", "WarpRes: Smile +", "WarpRes: Pose −3"]
    assert "e4e: 1.9 s an image." in foot


def test_figure_7_shows_flows_and_needs_some(drawn: dict) -> None:
    grid = draw_figure(7, images(), PASSES, FACTS, select_images(images(), 2))
    heads, _, rows, legend, _ = drawn["figure7"]
    assert heads == ["Input", "Smile +", "Flow", "Pose −3", "Flow"] and legend > 0
    assert rows[0][2].flow is not None and grid.png.startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="no method of this run estimates a flow"):
        draw_figure(7, images(), PASSES, FACTS, select_images(images(), 2), methods=["e4e"])


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(UsageError, match="figure 2 is not drawn from images"):
        draw_figure(2, images(), PASSES, FACTS, select_images(images(), 1))
    with pytest.raises(UsageError, match="unknown method with images in this run 'hfgi'"):
        draw_figure(4, images(), PASSES, FACTS, select_images(images(), 1), methods=["hfgi"])


def _turned() -> list[RunImage]:
    """Two photographs; the red of an image is the degrees it is turned by, 0 where no face is found."""
    found = []
    for number, view in ((0, 12), (1, 0)):
        red = {("eg3d-goae", "yaw+12.5"): view, ("warpres", "pose+1.5"): 7, ("warpres", "pose+3"): 11}
        red |= {("warpres", "pose+4.5"): 17, ("warpres", "reconstruction"): 12, ("eg3d-goae", "reconstruction"): 1}
        made = {pair: Image.new("RGB", (16, 16), (value, 0, 0)) for pair, value in red.items()}
        found.append(RunImage(str(number), Image.new("RGB", (16, 16)), made))
    return found


def test_figure_6_shows_the_edit_that_turned_as_far_as_the_camera(drawn: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "landmark_yaw", lambda: lambda image: float(image[0, 0, 0]) or None)
    passes = ["reconstruction", "yaw+12.5", "pose+1.5", "pose+3", "pose+4.5"]
    draw_figure(6, _turned(), passes, FACTS, select_images(_turned(), 2))
    heads, _, rows, _, foot = drawn["figure6"]
    at = heads.index("WarpRes: near Yaw +12.5")
    assert heads[at - 1] == "WarpRes: Inversion" and not any("Pose" in head for head in heads)
    assert rows[0][at].image.getpixel((0, 0))[0] == 11 and rows[1][at].image is None
    assert "WarpRes, its edit nearest by yaw measured from landmarks: 0, yaw+12.5: pose+3 (+11° beside +12°)." in foot
    monkeypatch.setattr(paper, "landmark_yaw", lambda: None)
    draw_figure(6, _turned(), passes, FACTS, select_images(_turned(), 2))
    assert [head for head in drawn["figure6"][0] if "Pose" in head] == [
        "WarpRes: Pose +1.5", "WarpRes: Pose +3", "WarpRes: Pose +4.5",
    ]  # fmt: skip
