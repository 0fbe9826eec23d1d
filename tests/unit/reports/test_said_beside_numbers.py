"""What stands beside numbers in every form: units, how many images, which are left out, what a copy would score."""

from __future__ import annotations

import re

import pytest
from reports_fake_run import PROTOCOL, FakeCell, facts, manifest, passes, summaries

from bench.run.truth import _LEAST_ASKED
from metrics.flow import MOVES
from metrics.summary import Cell
from reports.columns import metric
from reports.figures.grids import Grid
from reports.figures.plots import draw_all
from reports.page.render import Content, render
from reports.table import Table
from reports.tables import build_tables
from reports.writers import terminal
from reports.writers.md import markdown
from reports.writers.tex import latex

Summaries = dict[tuple[str, str], dict[str, Cell]]


def _truth(cells: Summaries) -> Table:
    return next(table for table in build_tables(cells, passes(), facts()) if table.slug.startswith("truth"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def test_every_form_of_a_table_says_what_its_numbers_are_in() -> None:
    table = _truth(summaries())
    assert table.units == "PSNR asked in dB, EPE moving in px"
    page = render(Content([table], [], [], None, [], [], None, facts(), manifest(), []))
    written = (terminal.table(summaries(), passes(), manifest()), markdown(table), latex(table), page)
    assert all("PSNR asked in dB, EPE moving in px" in _one_line(text) for text in written)
    scores = build_tables(summaries(), passes(), facts())[0]
    assert scores.units == "" and " in dB" not in markdown(scores) + latex(scores)


def test_a_column_of_fewer_images_says_so_and_which_it_lacks() -> None:
    cells = summaries()
    for method in ("e4e", "styleres", "warpres"):
        cells[method, "pose+"][f"share@{PROTOCOL}"] = FakeCell(0.9, 0.8, 1.0, 200)
    table = _truth(cells)
    (note,) = [sentence for sentence in table.notes if "images, without" in sentence]
    assert note.startswith("Pose: Share+ over 200 images, without people of whom next to nothing is asked")
    number = table.notes.index(note) + 1
    assert [number in block.notes for block in table.blocks] == [False, True]
    assert not any("images, without" in sentence for sentence in _truth(summaries()).notes)
    # Where methods differ in it, so does the number.
    cells["e4e", "pose+"][f"share@{PROTOCOL}"] = FakeCell(0.9, 0.8, 1.0, 190)
    assert any(sentence.startswith("Pose: Share+ over 190 to 200 images") for sentence in _truth(cells).notes)


def test_what_a_share_leaves_out_is_what_the_world_leaves_out() -> None:
    words = metric("share").without
    limits = (_LEAST_ASKED["yaw"], _LEAST_ASKED["smile"], _LEAST_ASKED["age"])
    assert "less than {:g} degrees, {:g} of a smile, {:g} of age".format(*limits) in words
    assert MOVES == 0.5 and all("half a pixel" in metric(name).without for name in ("flow_epe_moving", "flow_slope"))


@pytest.mark.parametrize(("low", "said"), [(0.0, True), (0.2, False)])
def test_to_lead_where_doing_nothing_is_better_is_said_to_be_no_lead(low: float, said: bool) -> None:
    cells = summaries()
    cells["real", "smile+"][f"asked_lpips@{PROTOCOL}"] = FakeCell(low + 0.01, low, low + 0.02, 120)
    sentences = " ".join(_truth(cells).verdicts)
    assert ("A copy of the input is better than every method in LPIPS asked+." in sentences) == said
    # Where copying is what is measured, nobody is held against it.
    assert "copy" not in " ".join(build_tables(cells, passes(), facts())[0].verdicts)


def test_a_copy_over_few_images_beats_nobody() -> None:
    cells = summaries()
    cells["real", "smile+"][f"asked_lpips@{PROTOCOL}"] = FakeCell(0.01, 0.0, 0.02, 12)
    assert "copy" not in " ".join(_truth(cells).verdicts)


def test_every_caption_says_how_many_images_and_every_axis_its_unit() -> None:
    drawings = {drawing.name.partition("@")[0]: drawing for drawing in draw_all(summaries(), passes(), facts())}
    assert {"reconstruction", "tradeoff-pose", "truth-smile", "change-pose", "achieved"} <= drawings.keys()
    assert "n = 240, with 95 % intervals" in drawings["reconstruction"].caption
    assert "n = 120, with 95 % intervals" in drawings["truth-smile"].caption
    assert "n: Smile + 120, Smile − 120, Pose + 240, Pose − 240" in drawings["achieved"].caption
    assert all("n = " in drawing.caption or "n: " in drawing.caption for drawing in drawings.values())
    assert "Achieved change (degrees)" in _axes("change-pose") and "Achieved change (its own unit)" in _axes(
        "change-smile"
    )


def test_a_region_is_called_by_words_and_not_by_its_file() -> None:
    drawings = draw_all(summaries(), passes(), facts())
    grids = [Grid("pass-pose+", "Pose +: the input, and what each method makes of it.", b"", (1, 1))]
    content = Content([], drawings, grids, None, [], [], None, facts(), manifest(), [], {grids[0].name: "data:,"})
    labels = re.findall(r'role="region" aria-label="([^"]*)"', render(content))
    assert len(labels) >= len(drawings) + len(grids) and not any("@" in label or "-pose" in label for label in labels)
    assert "Pose +: the input, and what each method makes of it." in labels and "Reconstruction" in labels


def _axes(name: str) -> list[str]:
    """The labels of a figure's axes."""
    from reports.figures import canvas, plots

    seen: dict[str, list[str]] = {}
    finish = canvas.finish
    with pytest.MonkeyPatch.context() as patch:

        def remember(figure, own, *rest):  # noqa: ANN001, ANN002, ANN202
            seen[own.partition("@")[0]] = [axis.get_xlabel() for axis in figure.axes]
            return finish(figure, own, *rest)

        patch.setattr(plots, "finish", remember)
        draw_all(summaries(), passes(), facts())
    return seen[name]


def test_rows_of_a_group_stand_apart_where_the_group_before_says_nothing() -> None:
    cells = summaries()
    for seed in ("styleres-s2", "warpres-s2"):
        for name in ("reconstruction", "smile+", "smile-", "pose+", "pose-"):
            cells[seed, name] = cells[seed.partition("-")[0], name]
    text = terminal.table(cells, passes(), manifest())
    block = text[text.index("EPE moving+") :].splitlines()
    first = next(at for at, line in enumerate(block) if "(mean of 2 seeds)" in line)
    assert block[first].startswith("WarpRes") and block[first - 1] == "" and "(SD over 2 seeds)" in block[first + 1]
