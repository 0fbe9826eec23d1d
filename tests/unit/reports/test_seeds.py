"""Further seeds of a method: how they are recognised, and their spread."""

from __future__ import annotations

import pytest

from reports.columns import metric
from reports.naming import split_pass
from reports.seeds import first_seed, seed_of, seed_rows
from reports.table import DASH, Column, Entry, Row

COLUMN = Column(split_pass("reconstruction"), metric("psnr"), "synthetic-2")


def _row(name: str, *values: float | None) -> Row:
    return Row(name, name, tuple(Entry(value, n=9) if value is not None else Entry(word=DASH) for value in values))


def test_names_of_seeds() -> None:
    assert [first_seed(name) for name in ("warpres-s43", "warpres", "psp+styleres-s2", "my-set")] == [
        "warpres", "warpres", "psp+styleres", "my-set",
    ]  # fmt: skip
    assert [seed_of(name) for name in ("warpres-s43", "warpres")] == ["-s43", ""]


def test_mean_and_deviation_over_the_seeds_that_are_here() -> None:
    rows = [_row("e4e", 1.0, 2.0), _row("warpres", 1.0, 2.0), _row("warpres-s43", 3.0, None)]
    mean, deviation = seed_rows([*rows, _row("other-s1", 1.0, 1.0)], [COLUMN, COLUMN])
    assert (mean.name, deviation.name, mean.group) == ("warpres-mean", "warpres-sd", "Over seeds")
    assert mean.title == "warpres (mean of 2 seeds)"
    assert mean.entries[0].value == 2.0 and deviation.entries[0].value == pytest.approx(2**0.5)
    assert deviation.entries[0].decimals == COLUMN.metric.decimals + 1
    assert mean.entries[1].word == deviation.entries[1].word == DASH


def test_a_part_of_the_images_is_no_seed() -> None:
    part = Row("warpres-s43", "", (Entry(3.0, n=4, part="4 of 9"),))
    assert [row.entries[0].word for row in seed_rows([_row("warpres", 1.0), part], [COLUMN])] == [DASH, DASH]
