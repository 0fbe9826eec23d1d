"""The model card says of each file what its training saw."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from bench.world.networks import WEIGHTS
from methods.training import world_card
from methods.training.card_figures import _pyplot, trade_off_figure
from methods.training.card_sweep import at_edge
from methods.training.world_card import file_line, images_of


def leg(first: int, last: int, digest: str, **more: int) -> dict[str, object]:
    return {"from": first, "to": last, "recipe_digest": digest, **more}


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, "-"),
        ({"steps": 5, "batch": 4}, "20"),
        ({"steps": 5, "batch": 4, "pictures": 20, "legs": [leg(0, 3, "a"), leg(3, 5, "a")]}, "20"),
        (
            {"steps": 10, "batch": 2, "pictures": 26, "legs": [leg(0, 4, "a", batch=4), leg(8, 13, "b", batch=2)]},
            "26 (16 + 10)",
        ),
    ],
)
def test_images_are_those_of_all_legs(made: dict[str, object], said: str) -> None:
    assert images_of(made) == said


def test_a_line_names_the_recipe() -> None:
    line = file_line(WEIGHTS / "styleres.safetensors")
    assert line.startswith("| styleres.safetensors | 1.0 | world/styleres | 42 |")
    assert "with w-consistency" in line
    # Figures have units, up to four digits and one name each, as in the report.
    assert re.search(r"PSNR asked \(dB\) \d\d\.\d{1,2}, .*kept share, pose \+ 0\.\d+, kept share, pose − 0\.\d+", line)
    assert "asked_psnr" not in line and "/kept" not in line


def test_numbers_of_the_trade_off_do_not_cover_each_other() -> None:
    def point(method: str, weight: float, consistency: float, psnr: float, share: float) -> dict[str, object]:
        figures = {"psnr": psnr, "asked_psnr": psnr - 2, "pose+/kept": share, "pose-/kept": share}
        return {"method": method, "regulariser": weight, "w_consistency": consistency, "figures": figures}

    curves = [
        point(method, weight, consistency, 26 - weight - consistency, share)
        for method, share in (("styleres", 0.5), ("warpres", 0.51))
        for consistency in (0.0, 0.03)
        for weight in (0.01, 0.02, 0.03)
    ]
    plt = _pyplot()
    figure = trade_off_figure(plt, {"curves": curves})
    figure.canvas.draw()
    for axis in figure.axes:
        boxes = [text.get_window_extent() for text in axis.texts]
        assert len(boxes) == 12
        # Half a point of slack: the boxes are those of the letters and their leading.
        assert not any(one.shrunk(0.9, 0.85).overlaps(other.shrunk(0.9, 0.85)) for one, other in combinations(boxes, 2))
    plt.close(figure)


def trial(regulariser: float, score: float) -> dict[str, object]:
    return {
        "method": "warpres",
        "regulariser": regulariser,
        "w_consistency": 0.0,
        "figures": {"asked_psnr": score},
    }


def test_a_choice_at_the_edge_of_its_grid_is_told() -> None:
    assert list(at_edge([trial(0.1, 24.1), trial(0.01, 24.5), trial(0.03, 24.4)])) == [
        "lambda_F 0.01 of WarpRes, 0.10 dB before 0.03"
    ]
    assert not list(at_edge([trial(0.1, 24.1), trial(0.01, 24.5), trial(0.03, 24.6)]))
    assert not list(at_edge([trial(0.1, 24.1)]))


def test_what_was_tried_counts_the_images_of_all_legs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    checks = [{"step": step, "check": {"psnr": float(step)}} for step in (2, 8, 10)]
    (tmp_path / "logs" / "hfgi.jsonl").write_text("".join(f"{json.dumps(check)}\n" for check in checks))
    said = world_card._tried(tmp_path, "hfgi", {"steps": 10, "batch": 4, "pictures": 90})
    assert said == " after 90 images; it moved by +2.00 dB over the last third of them"
