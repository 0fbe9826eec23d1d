"""The paper's layouts: published numbers stand beside ours, under the one protocol that allows it."""

from __future__ import annotations

import csv
import io

import pytest
from reports_fake_run import FakeCell, summaries
from reports_fake_run import facts as known_facts

from metrics.summary import Cell
from reports.facts import gather_facts
from reports.inputs import Facts, Summaries
from reports.published.rows import difference_csv, paper_table, published_runtimes, published_table
from reports.standing import Standing
from reports.table import Table
from reports.tables import build_table
from reports.writers.csv import long


def _paper_numbers(protocol: str) -> dict[tuple[str, str], dict[str, FakeCell]]:
    return {
        key: {name.replace("fd@", "fid@"): cell for name, cell in cells.items()}
        for key, cells in summaries(protocol).items()
    }


def _table(which: int, protocol: str = "paper-1", **more: object) -> Table:
    facts = known_facts(**more)
    return paper_table(which, _paper_numbers(protocol), facts, protocol)


def test_published_tables_are_whole() -> None:
    assert [len(published_table(which).rows) for which in (1, 2, 3)] == [13, 9, 7]
    assert published_table(2).rows["WarpRes"]["pose_id_plus"] == 0.74
    assert published_table(3).rows["HFGI"]["viewpoint_fid"] == 21.80
    with pytest.raises(ValueError, match="not 4"):
        published_table(4)


def test_each_row_is_followed_by_the_published_one() -> None:
    table = _table(2)
    rows = [row for row in table.rows if row.kind != "reference"]
    titles = [row.title for row in rows]
    assert titles[0::2] == list(published_table(2).rows)
    assert set(titles[1::2]) == {"as published"}
    last = rows[-1]
    assert [entry.value for entry in last.entries] == [
        value for name, value in published_table(2).rows["WarpRes"].items() if name != "runtime_s"
    ]


def test_published_numbers_stand_beside_no_other_protocol() -> None:
    table = _table(2, "standard-1")
    assert {row.kind for row in table.rows} == {"method", "reference"}
    assert difference_csv(2, _paper_numbers("standard-1"), known_facts(), "standard-1") == ""


def test_published_numbers_are_not_ranked() -> None:
    marked = [row for row in _table(2).rows if any(entry.mark for entry in row.entries)]
    assert {row.kind for row in marked} == {"method"}


def test_rows_that_were_not_run_say_so() -> None:
    table = _table(2, missing={"methods": {"hfgi": {"status": "not released", "reason": "No checkpoint."}}})
    words = {row.name: row.absent.word for row in table.rows if row.absent is not None}
    assert words["hfgi"] == "not released" and words["psp"] == "not run"


def test_ablation_groups_and_aliases() -> None:
    table = _table(1)
    ours = [row for row in table.rows if row.kind == "method"]
    names = {row.title: row.name for row in ours}
    assert names["Trained flow"] == names["e4e+WarpRes"] == "warpres"
    assert [row.group for row in ours] == ["Flow"] * 4 + ["Base encoder pSp"] * 3 + ["Base encoder e4e"] * 3 + [
        "Base encoder StyleTransformer"
    ] * 3
    # One method in two rows is one contestant: it keeps its mark.
    assert all(row.entries[0].mark == "best" for row in ours if row.name == "warpres")


def test_viewpoint_is_the_mean_of_both_directions() -> None:
    cells = {
        ("warpres", "viewpoint+"): {"fid@paper-1": FakeCell(10.0, 9.0, 11.0, 8041)},
        ("warpres", "viewpoint-"): {"fid@paper-1": FakeCell(13.0, 12.0, 14.0, 8041)},
        ("warpres", "grass"): {"fid@paper-1": FakeCell(8.5, 8.0, 9.0, 8041)},
    }
    table = paper_table(3, cells, known_facts(), "paper-1", with_published=False)
    row = next(row for row in table.rows if row.name == "warpres")
    assert [block.title for block in table.blocks] == ["Grass", "Viewpoint"]  # nothing else was asked for
    viewpoint = row.entries[1]
    assert (viewpoint.value, viewpoint.low, viewpoint.high) == (11.5, 10.5, 12.5)
    assert "both directions" in table.notes[viewpoint.note - 1]
    lines = difference_csv(3, cells, known_facts(), "paper-1").splitlines()[1:]
    assert {line.split(",")[2] for line in lines} == {"grass_fid", "viewpoint_fid"}


@pytest.mark.parametrize("protocol", ["paper-1", "standard-1"])
def test_the_floors_close_the_papers_tables(protocol: str) -> None:
    table = _table(2, protocol)
    (floor,) = [row for row in table.rows if row.kind == "reference"]
    assert floor == table.rows[-1]
    assert (floor.name, floor.title) == ("real", "Copy of input")
    values = {column.name: entry.value for column, entry in zip(table.columns, floor.entries, strict=True)}
    assert values[f"smile+:fid@{protocol}"] == 6.2
    assert "what doing nothing scores" in table.notes[floor.note - 1]
    assert not any(entry.mark for entry in floor.entries)


def _scores(cells: Summaries, facts: Facts) -> Table:
    return build_table(cells, [], Standing(facts), "paper-1", "scores")


def test_tables_say_how_many_real_images_a_set_is_compared_with() -> None:
    cells = {
        ("e4e", "smile+"): {"fid@paper-1": Cell(38.0, 37.0, 39.0, 1485, 0, "skip", 1339)},
        ("e4e", "smile-"): {"fid@paper-1": Cell(39.0, 38.0, 40.0, 1339, 0, "skip", 1485)},
        ("e4e", "pose+"): {"fid@paper-1": Cell(27.0, 26.0, 28.0, 2824, 0, "skip", 2824)},
        ("real-halves", "pose+"): {"fid@paper-1": Cell(3.0, 2.0, 4.0, 1412, 0, "skip", 1412)},
    }
    sentence = "Smile + 1,485 / 1,339; Smile − 1,339 / 1,485; Pose + 2,824 / 2,824."
    tables = [
        paper_table(2, cells, known_facts(), "paper-1"),
        build_table(cells, [], Standing(known_facts()), "paper-1", "scores"),
    ]
    for table in tables:
        (note,) = [note for note in table.notes if "real images that sets are compared by" in note]
        assert set(note.removesuffix(".").partition(": ")[2].split("; ")) == set(sentence.removesuffix(".").split("; "))
    lines = list(csv.DictReader(io.StringIO(long(cells, [], known_facts(), "paper-1"))))
    assert {(line["pass"], line["n"], line["reference_n"]) for line in lines if line["method"] == "e4e"} == {
        ("smile+", "1485", "1339"),
        ("smile-", "1339", "1485"),
        ("pose+", "2824", "2824"),
    }


def test_a_pass_over_other_images_than_asked_is_told_in_both_layouts() -> None:
    note = "all pictures are taken, since not all have the label Smiling"
    facts = known_facts(passes=[{"column": "smile+", "note": note}, {"column": "pose+"}])
    cells = _paper_numbers("paper-1")
    for table in (
        paper_table(2, cells, facts, "paper-1"),
        _scores(cells, facts),
    ):
        assert f"Smile +: {note}." in table.notes


def test_runtime_is_a_column_only_when_given() -> None:
    facts, cells = known_facts(), _paper_numbers("paper-1")
    assert "Runtime" not in [block.title for block in paper_table(2, cells, facts, "paper-1").blocks]
    timed = paper_table(2, cells, facts, "paper-1", runtimes={"warpres": {"runtime": 0.25, "efficiency": 0.7}})
    row = next(row for row in timed.rows if row.name == "warpres" and row.kind == "method")
    assert timed.blocks[0].title == "Runtime" and row.entries[0].value == 0.25
    published = next(row for row in timed.rows if row.name == "warpres" and row.kind == "published")
    assert published.entries[0].value == 0.1254


def test_difference_is_ours_minus_published() -> None:
    cells = _paper_numbers("paper-1")
    cells["warpres", "pose+"]["id@paper-1"] = FakeCell(0.75, 0.73, 0.77, 2824)
    lines = csv.DictReader(io.StringIO(difference_csv(2, cells, known_facts(), "paper-1")))
    found = {(line["row"], line["column"]): line for line in lines}
    assert len(found) == 9 * 11
    line = found["WarpRes", "pose_id_plus"]
    assert float(line["difference"]) == pytest.approx(0.01) and line["inside"] == "yes"
    assert found["WarpRes", "recon_fid"]["inside"] == "no"
    assert found["pSp", "recon_fid"]["ours"] == "" and found["pSp", "recon_fid"]["inside"] == "not run"


def test_a_run_that_follows_a_table_of_the_paper_prints_it_first() -> None:
    from reports.writers.terminal import table

    cells = _paper_numbers("synthetic-1")
    manifest = {"paper_table": 1, "methods": [], "protocols": {}}
    lines = table(cells, [], manifest).splitlines()
    title = "Ablation of the flow and of the base encoder (paper, Table 1), protocol synthetic-1"
    assert " ".join(" ".join(lines[:2]).split()) == title and lines[2] == "=" * len(lines[0])
    rows = [line for line in lines if line.startswith(("Trained flow", "pSp+WarpRes", "e4e+StyleRes"))]
    assert rows[0].startswith("Trained flow w/o flow loss")
    assert not table(cells, [], {"methods": [], "protocols": {}}).startswith("Ablation")


def test_on_a_world_the_table_has_what_the_paper_could_not_have_and_only_rows_of_the_run() -> None:
    facts = known_facts()
    table = paper_table(2, summaries("synthetic-2"), facts, "synthetic-2")
    assert [row.title for row in table.rows if row.kind == "method"] == ["e4e", "StyleRes", "WarpRes"]
    assert [block.title for block in table.blocks][-2:] == [
        "Smile, against what was asked", "Pose, against what was asked",
    ]  # fmt: skip
    row = next(row for row in table.rows if row.name == "warpres")
    values = {column.name: entry.value for column, entry in zip(table.columns, row.entries, strict=True)}
    assert values["pose+:share@synthetic-2"] is not None and values["pose+:id@synthetic-2"] is not None
    assert "pose+:asked_id@paper-1" not in [column.name for column in _table(2, "paper-1").columns]


def test_the_paper_s_own_runtimes_are_a_column_by_our_names() -> None:
    facts = known_facts()
    published = published_runtimes({}, facts)
    assert published["warpres"] == 0.1254 and published["psp"] == 0.0337
    clocks = {name: {"runtime_published": seconds} for name, seconds in published.items()}
    table = paper_table(2, summaries("synthetic-2"), facts, "synthetic-2", runtimes=clocks)
    row = next(row for row in table.rows if row.name == "styleres")
    assert [entry.value for entry in row.entries[:4]] == [None, 0.0429, None, None]


def test_a_run_of_every_method_of_table_2_follows_it() -> None:
    names = ["psp", "e4e", "restyle", "hyperstyle", "hfgi", "styletransformer", "featurestyle", "styleres", "warpres"]
    assert gather_facts({"methods": dict.fromkeys(names)}).paper_table == 2
    assert gather_facts({"methods": dict.fromkeys(names[1:])}).paper_table is None
    assert gather_facts({"methods": dict.fromkeys(names), "paper_table": 1}).paper_table == 1
