"""Flow images, grids and plots: right colours, right places, the same bytes twice."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports_fake_run import IMAGES, METHODS, PASSES, draw_face, facts, manifest, passes, summaries, write_run

from reports.facts import gather_facts
from reports.figures.canvas import Margins, RunNumbers, add_legend, legend_height, new_figure
from reports.figures.flow_view import flow_colours, flow_image, full_length, wheel
from reports.figures.grids import Grid, _broken, draw_grids
from reports.figures.palette import looks
from reports.figures.plots import draw_all
from reports.figures.run_images import read_images


def _uniform(x: float, y: float) -> np.ndarray:
    return np.stack([np.full((8, 8), x), np.full((8, 8), y)]).astype(np.float32)


def test_no_flow_is_white_and_unknown_is_grey() -> None:
    assert (flow_colours(_uniform(0, 0), 1.0) == 255).all()
    assert (flow_colours(_uniform(np.nan, 1), 1.0) == 128).all()


@pytest.mark.parametrize(
    ("vector", "strongest"), [((1, 0), {0}), ((-1, 0), {1, 2}), ((-0.5, 0.866), {1}), ((-0.5, -0.866), {2})]
)
def test_direction_is_hue(vector: tuple[float, float], strongest: set[int]) -> None:
    colour = flow_colours(_uniform(*vector), 1.0)[0, 0].astype(int)
    assert {channel for channel in range(3) if colour[channel] > 240} == strongest


def test_length_is_saturation() -> None:
    weak, strong = (int(flow_colours(_uniform(length, 0), 2.0)[0, 0, 1]) for length in (0.5, 1.5))
    assert weak == pytest.approx(255 * 0.75, abs=1) and strong == pytest.approx(255 * 0.25, abs=1)


def test_the_wheel_has_the_colours_of_the_flows() -> None:
    pixels = np.asarray(wheel(101))
    assert (pixels[50, 50] > 250).all() and (pixels[0, 0] == 255).all()
    assert np.abs(pixels[50, 98].astype(int) - flow_colours(_uniform(0.96, 0), 1.0)[0, 0]).max() <= 2
    assert np.abs(pixels[98, 50].astype(int) - flow_colours(_uniform(0, 0.96), 1.0)[0, 0]).max() <= 2


def test_arrows_point_where_the_flow_points() -> None:
    flow = np.zeros((2, 9, 9), np.float32)
    flow[0, 4, 4] = 3.0
    dark = (np.asarray(flow_image(flow, (180, 180), 3.0).convert("L"))[86:94] < 60).any(axis=0)
    reach = np.flatnonzero(dark)
    assert reach.min() >= 86 and reach.max() > 140


def test_full_length_is_common_and_never_zero() -> None:
    assert full_length(np.zeros((2, 4, 4))) == 1.0
    assert full_length(_uniform(3, 4), np.zeros((2, 2, 2))) == pytest.approx(5.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def grids(run: Path) -> dict[str, Grid]:
    found = draw_grids(read_images(run, 8), PASSES, gather_facts(manifest()))
    return {grid.name: grid for grid in found}


def test_there_is_a_grid_a_image_and_a_pass(grids: dict[str, Grid]) -> None:
    assert list(grids) == [*(f"picture-{name}" for name in IMAGES), *(f"pass-{column}" for column in PASSES)]


def test_heads_break_before_a_plus_or_a_word_and_are_cut_only_then() -> None:
    assert _broken("StyleRes", 128) == ["StyleRes"]
    assert _broken("StyleTransformer+WarpRes", 128) == ["StyleTransformer", "+WarpRes"]
    assert _broken("StyleTransformer+WarpRes's flow", 128) == ["StyleTransformer", "+WarpRes's flow"]
    first, second = _broken("True edit, a very long name of a plug-in's method", 128)
    assert first == "True edit, a very" and "…" in second


def _contains(paper: np.ndarray, tile: np.ndarray) -> bool:
    """Whether `tile` stands somewhere on `paper`, pixel for pixel."""
    height, width = tile.shape[:2]
    starts = np.argwhere((paper == tile[0, 0]).all(axis=-1))
    return any(
        np.array_equal(paper[y : y + height, x : x + width], tile)
        for y, x in starts
        if y + height <= len(paper) and x + width <= paper.shape[1]
    )


def test_images_stand_in_the_grid_enlarged_without_blur(grids: dict[str, Grid]) -> None:
    paper = np.asarray(Image.open(io.BytesIO(grids["pass-pose+"].png)))
    for seed in range(len(IMAGES)):
        for pixels in (draw_face(seed), draw_face(seed, 9.0)):
            assert _contains(paper, pixels.repeat(2, 0).repeat(2, 1))
    assert not _contains(paper, draw_face(0, -9.0).repeat(2, 0).repeat(2, 1))


def test_grids_do_without_what_is_not_there(run: Path, tmp_path: Path) -> None:
    assert draw_grids(read_images(tmp_path, 8), PASSES, facts()) == []
    folder = tmp_path / "pictures" / "mine" / "smile+"
    folder.mkdir(parents=True)
    (folder / "7.png").write_bytes(b"no picture")
    assert draw_grids(read_images(tmp_path, 8), PASSES, facts()) == []
    Image.new("RGB", (512, 384), "red").save(folder / "8.png")
    np.save(folder / "8.flow.npy", np.zeros((3, 4, 4), np.float32))
    found = draw_grids(read_images(tmp_path, 8), PASSES, facts())
    assert [grid.name for grid in found] == ["picture-7", "picture-8", "pass-smile+"]
    assert max(found[0].size) < 600


def test_images_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "real" / "original"
    folder.mkdir(parents=True)
    for name in ("10", "2", "abc"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
    assert [image.name for image in read_images(tmp_path, 8)] == ["2", "10", "abc"]
    assert [image.name for image in read_images(tmp_path, 2)] == ["2", "10"]


def test_a_method_looks_the_same_in_every_company() -> None:
    alone, many = looks(["warpres"]), looks([*METHODS, "psp+warpres", "zebra"])
    assert alone["warpres"] == many["warpres"]
    assert len({(look.colour, look.marker) for look in many.values()}) == len(many)


def test_plots_are_the_same_bytes_twice_and_leave_no_trace() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    cells = {key: value for key, value in summaries().items() if key[1] in ("reconstruction", "smile+")}
    steps = [item for item in passes() if item.pass_name in ("reconstruction", "smile+")]
    first, second = (draw_all(cells, steps, facts()) for _ in range(2))
    assert first == second and dict(mpl.rcParams) == before
    names = [drawing.name.partition("@")[0] for drawing in first]
    assert names == ["reconstruction", "tradeoff-smile", "truth-smile", "change-smile", "achieved"]
    for drawing in first:
        assert Image.open(io.BytesIO(drawing.png)).size[0] >= 500
        assert drawing.pdf.startswith(b"%PDF") and b"CreationDate" not in drawing.pdf


def test_plots_without_numbers_are_left_out() -> None:
    assert draw_all({}, passes(), facts()) == []
    assert draw_all({("e4e", "smile+"): {}}, passes(), facts()) == []


def test_any_number_of_plug_ins_have_colours_of_their_own() -> None:
    found = looks([*METHODS, *(f"plug-in-{number}" for number in range(30))])
    assert len({look.colour for look in found.values()}) == len(found)


def test_a_legend_of_seventeen_methods_fits_below_the_panels() -> None:
    methods = tuple(f"styletransformer-{at}" for at in range(17))
    run = RunNumbers({}, facts(), "synthetic-2", (), {}, methods, looks(methods))
    for width in (3.5, 7.0):
        below = legend_height(run, width)
        figure, (axis,) = new_figure(1, width, 2.7 + below, 1, Margins(bottom=0.47 + below))
        axis.set_xlabel("ID")
        add_legend(run, figure)
        figure.canvas.draw()
        legend, label = figure.legends[0].get_window_extent(), axis.xaxis.label.get_window_extent()
        assert legend.x0 >= 0 and legend.x1 <= figure.bbox.width and legend.y0 >= 0
        assert legend.y1 <= label.y0 + 1
