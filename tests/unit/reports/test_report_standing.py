"""One rule for marks, sentences and differences; footnotes have a place and dashes a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from reports_fake_run import METHODS, FakeCell, facts, passes, summaries

from bench.results.frame import frame_of
from bench.results.paired import Pairs
from bench.results.row import Row
from metrics.protocol import load_protocol, protocol_names
from reports.columns import metric
from reports.differences import difference_tables
from reports.inputs import Summaries
from reports.published.rows import paper_table
from reports.standing import Standing
from reports.table import Table
from reports.tables import build_tables
from reports.writers.csv import wide
from reports.writers.md import markdown
from reports.writers.terminal import text
from reports.writers.tex import latex

PROTOCOL = "synthetic-2"
LEAD = {"e4e": 0.0, "styleres": 0.02, "warpres": 0.03}


def _rows(n: int) -> list[Row]:
    """Identity of each method on the same people: a lead of .01 under a spread of .2 between people."""
    hard = np.random.default_rng(0).normal(0.5, 0.2, n).tolist()
    return [
        Row(
            f"{i}.jpg", "a", method, "b", "pose+", "c", 3.0, PROTOCOL, "d", values={"id": float(hard[i] + LEAD[method])}
        )
        for method in METHODS
        for i in range(n)
    ]


def _table(n: int) -> tuple[Table, Standing]:
    pairs = Pairs(frame_of(_rows(n)), {PROTOCOL: load_protocol(PROTOCOL)})
    cells = {
        (m, "pose+"): {f"id@{PROTOCOL}": FakeCell(0.5 + LEAD[m], 0.45 + LEAD[m], 0.55 + LEAD[m], n)} for m in METHODS
    }
    return build_tables(cells, [passes()[3]], facts(), pairs=pairs)[0], Standing(facts(), pairs)


def _marks(table: Table) -> dict[str, str]:
    return {row.name: row.entries[0].mark for row in table.rows}


def test_methods_are_told_apart_by_their_differences_on_the_same_images() -> None:
    """Their intervals overlap by nine tenths."""
    table, standing = _table(30)
    assert _marks(table) == {"e4e": "", "styleres": "second", "warpres": "best"}
    assert table.verdicts == ("Pose: WarpRes is best in ID+.",)
    (differences,) = difference_tables([table], standing)
    found = {row.name: row.entries[0] for row in differences.rows}
    assert found["styleres"].value == pytest.approx(-0.01) and found["warpres"].word == "best"
    assert {name: entry.mark for name, entry in found.items()} == {"e4e": "apart", "styleres": "apart", "warpres": ""}
    assert all(differences.title in form(differences) for form in (text, markdown, latex))


def test_every_form_of_a_table_has_the_same_marks() -> None:
    table, _ = _table(30)
    assert "*0.530" in text(table) and "'0.520" in text(table)
    assert "**0.530**" in markdown(table) and "_0.520_" in markdown(table)
    assert r"\textbf{0.530}" in latex(table) and r"\underline{0.520}" in latex(table)
    assert "30,0,best" in wide(table) and "30,0,second" in wide(table)
    assert "from 30 images on" in markdown(table)


def test_few_images_mark_nothing_and_say_so() -> None:
    table, standing = _table(29)
    assert set(_marks(table).values()) == {""}
    assert table.verdicts == ("Pose: fewer than 30 images, too few to tell methods apart.",)
    (number,) = table.blocks[0].notes
    assert "from n = 30 on" in table.notes[number - 1] and "Pose (1)" in text(table)
    (differences,) = difference_tables([table], standing)
    assert {entry.mark for row in differences.rows for entry in row.entries} == {""}
    assert "from n = 30 on" in differences.notes[differences.blocks[0].notes[0] - 1]


def test_a_single_image_explains_itself() -> None:
    cells = {
        (m, "pose+"): {
            f"id@{PROTOCOL}": FakeCell(0.5, None, None, 1),
            f"fd@{PROTOCOL}": _Needy(None, None, None, 1, needs_n=2),
        }
        for m in METHODS
    }
    table = build_tables(cells, passes(), facts())[0]
    assert "n = 1: a single image has no interval" in " ".join(table.notes)
    assert _unpointed(table) == set()
    paper = paper_table(2, cells, facts(), PROTOCOL)
    fd = next(at for at, column in enumerate(paper.columns) if column.name == f"pose+:fd@{PROTOCOL}")
    entry = paper.rows[0].entries[fd]
    assert entry.word == "–" and "needs more than one image" in paper.notes[entry.note - 1]


def test_what_a_protocol_does_not_measure_is_said_to_be_so() -> None:
    """The paper's layout has columns that a protocol of one's own lacks: that is no fault of a method's images."""
    cells = {
        block: {name: own for name, own in found.items() if "lpips" not in name} for block, found in summaries().items()
    }
    paper = paper_table(2, cells, facts(), PROTOCOL)
    at = next(at for at, column in enumerate(paper.columns) if column.metric.name == "lpips")
    assert {paper.notes[row.entries[at].note - 1] for row in paper.rows if row.kind == "method"} == {
        f"LPIPS: not measured under {PROTOCOL}."
    }


class _Needy(FakeCell):
    """A cell of a set metric that its protocol gives no number."""

    def __init__(self, *words: object, needs_n: int) -> None:
        super().__init__(*words)  # type: ignore[arg-type]
        object.__setattr__(self, "needs_n", needs_n)


def _unpointed(table: Table) -> set[int]:
    """Footnotes that nothing points to."""
    numbers = {number for block in table.blocks for number in block.notes}
    numbers |= {row.note for row in table.rows} | {entry.note for row in table.rows for entry in row.entries}
    return set(range(1, len(table.notes) + 1)) - numbers


def _odd() -> Summaries:
    """Failures in methods and floors, a set that is too small, unlabelled images."""
    cells = summaries()
    cells["e4e", "smile+"][f"id@{PROTOCOL}"] = FakeCell(None, None, None, 0, 120)
    cells["real-halves", "pose+"] = {f"fd@{PROTOCOL}": FakeCell(None, None, None, 0, 9)}
    for method in METHODS:
        for column in ("smile+", "smile-"):
            cells[method, column][f"fd@{PROTOCOL}"] = _Needy(None, None, None, 120, needs_n=1200)
    return cells


@pytest.mark.parametrize("layout", ["own", "paper"])
def test_every_footnote_has_a_cell_and_every_dash_its_reason(layout: str) -> None:
    known = replace(facts(passes=[{"column": "smile+", "note": "all are taken"}]), range_shares={("e4e", "pose+"): 0.5})
    if layout == "paper":
        tables = [paper_table(2, _odd(), known, PROTOCOL)]
    else:
        tables = [*build_tables(_odd(), passes(), known), *build_tables(_odd(), passes(), known, every=True)]
    for table in tables:
        assert _unpointed(table) == set(), table.slug
        dashes = [(row, entry) for row in table.rows for entry in row.entries if entry.word == "–"]
        assert all(entry.note or row.note for row, entry in dashes)
        assert all("A dash:" in table.notes[row.note - 1] for row, entry in dashes if not entry.note)
    assert not any("9 images failed" in note for table in tables for note in table.notes)


def test_a_direction_is_said_in_one_place() -> None:
    """What a protocol lists has its direction there, and nothing in the catalogue."""
    for name in protocol_names():
        for column in load_protocol(name).columns:
            assert metric(column.metric).better == "none", column.metric
            word = {"lower": "down", "higher": "up"}[column.better]
            assert facts(protocols={name: {}}).metric(column.metric, name).better == word
    assert facts().metric("asked_lpips", PROTOCOL).better == "down"


def test_who_failed_on_hard_images_is_not_best_by_its_mean() -> None:
    """WarpRes has the best mean, over the easier half; there StyleRes is better, image by image."""
    hard = np.random.default_rng(0).normal(0.5, 0.2, 80)
    easy = np.sort(np.argsort(hard)[40:])
    values = {"e4e": hard, "styleres": hard + 0.02, "warpres": hard + 0.01}
    rows = [
        Row(f"{i}.jpg", "a", name, "b", "pose+", "c", 3.0, PROTOCOL, "d", values={"id": float(own[i])})
        for name, own in values.items()
        for i in (easy if name == "warpres" else range(80))
    ]
    pairs = Pairs(frame_of(rows), {PROTOCOL: load_protocol(PROTOCOL)})
    means = {name: float(own[easy].mean() if name == "warpres" else own.mean()) for name, own in values.items()}
    assert max(means, key=means.__getitem__) == "warpres"
    cells = {
        (name, "pose+"): {f"id@{PROTOCOL}": FakeCell(mean, mean - 0.05, mean + 0.05, 40 if name == "warpres" else 80)}
        for name, mean in means.items()
    }
    table = build_tables(cells, [passes()[3]], facts(), pairs=pairs)[0]
    assert "best" not in _marks(table).values()
    assert table.verdicts == ("Pose: StyleRes is best in ID+.",)
