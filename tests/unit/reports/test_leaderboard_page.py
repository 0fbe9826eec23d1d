"""The repository's own leaderboard as a page: tables as a report draws them, filters that find something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.leaderboard.board import read_folder
from reports.leaderboard.page import render

FOLDER = Path(__file__).parents[3] / "leaderboard"


@pytest.fixture(scope="module")
def page() -> str:
    return render(read_folder(FOLDER), "Leaderboard", FOLDER, FOLDER / "index.html")


def test_the_filter_by_edit_finds_its_blocks(page: str) -> None:
    found = re.findall(r'class="scroll block-table" data-edit="([^"]*)"', page)
    assert {"Reconstruction", "Smile", "Pose"} == {*found} and len(found) == page.count('class="scroll block-table"')


def test_every_footnote_has_a_place_that_points_to_it(page: str) -> None:
    for section in re.findall(r'<section class="table".*?</section>', page, re.S):
        notes = re.search(r'<ol class="notes">(.*?)</ol>', section, re.S)
        pointed = {number for own in re.findall(r"<sup>([\d, ]+)</sup>", section) for number in own.split(", ")}
        assert pointed == {str(at) for at in range(1, (notes.group(1).count("<li>") if notes else 0) + 1)}


def test_units_and_warnings_stand_beside_the_numbers(page: str) -> None:
    assert "PSNR asked in dB" in page and "the methods did different shares of what was asked" in page
    assert "<dt>Share" in page
