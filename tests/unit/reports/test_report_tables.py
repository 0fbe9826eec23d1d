"""Tables as data: blocks, rows, marks, absences, and that protocols stay apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports_fake_run import METHODS, FakeCell, FakePass, facts, manifest, passes, summaries

from reports.columns import metric, split_column
from reports.facts import gather_facts
from reports.inputs import Facts
from reports.naming import in_reading_order, method_title, split_pass
from reports.standing import Standing
from reports.table import Column, Entry, Row, Table
from reports.tables import build_tables, marked


def _scores(known: Facts | None = None) -> Table:
    return build_tables(summaries(), passes(), known or facts())[0]


def _entry(table: Table, method: str, column: str) -> Entry:
    at = [c.name for c in table.columns].index(column)
    return next(row for row in table.rows if row.name == method).entries[at]


def test_scores_and_truth_are_two_tables_of_one_protocol() -> None:
    tables = build_tables(summaries(), passes(), facts())
    assert [table.slug for table in tables] == ["scores@synthetic-2", "truth@synthetic-2"]
    assert [block.title for block in tables[0].blocks] == ["Reconstruction", "Smile", "Pose"]
    assert [c.label for c in tables[0].blocks[1].columns] == ["FD+", "FD−", "ID+", "ID−"]
    assert [block.title for block in tables[1].blocks] == ["Smile", "Pose"]


def test_protocols_are_never_mixed() -> None:
    both = summaries("paper-1")
    for key, cells in summaries("standard-1").items():
        both[key] = both[key] | cells
    tables = build_tables(both, passes(), facts())
    assert {table.protocol for table in tables} == {"paper-1", "standard-1"}
    for table in tables:
        assert {column.protocol for column in table.columns} == {table.protocol}


def test_column_without_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="no protocol"):
        build_tables({("e4e", "reconstruction"): {"fd": FakeCell(1.0, None, None, 3)}}, passes(), facts())
    assert split_column("fid@paper-1") == ("fid", "paper-1")


def test_rows_are_in_reading_order_with_references_last_and_unranked() -> None:
    table = _scores()
    assert [row.name for row in table.rows] == [*METHODS, "real"]
    assert table.rows[-1].kind == "reference"
    # The floor is lower than every method's FD, yet the best method keeps its mark.
    floor, best = (_entry(table, name, "smile+:fd@synthetic-2") for name in ("real", "warpres"))
    assert floor.value is not None and best.value is not None and floor.value < best.value
    assert (floor.mark, best.mark) == ("", "best")


def test_the_table_does_not_depend_on_the_order_of_the_summaries() -> None:
    shuffled = dict(sorted(summaries().items(), reverse=True))
    assert build_tables(shuffled, passes(), facts()) == build_tables(summaries(), passes(), facts())


def _ranked(*intervals: tuple[float, float, float] | None, better: str = "down", n: int = 30) -> list[str]:
    column = Column(split_pass("smile+"), replace(metric("fid"), better=better), "p")  # type: ignore[arg-type]
    rows = [
        Row(str(at), str(at), (Entry(word="–") if bounds is None else Entry(*bounds, n=n),))
        for at, bounds in enumerate(intervals)
    ]
    return [row.entries[0].mark for row in marked(rows, [column], Standing(Facts()))]


def test_marks_need_intervals_that_do_not_overlap() -> None:
    assert _ranked((3, 2.5, 3.5), (1, 0.8, 1.2), (2, 1.8, 2.2)) == ["", "best", "second"]
    assert _ranked((3, 2.5, 3.5), (1, 0.8, 1.2), (2, 1.8, 2.2), better="up") == ["best", "", "second"]
    assert _ranked((1.1, 0.9, 1.3), (1, 0.8, 1.2), (5, 4, 6)) == ["", "", ""]
    assert _ranked((1, 0.9, 1.1), (2, 1.5, 2.5), (2.4, 2.2, 2.9)) == ["best", "", ""]
    assert _ranked((1, 0.9, 1.1), (2, 1.9, 2.1)) == ["best", ""]
    assert _ranked((1, 0.9, 1.1), None, None) == ["", "", ""]
    assert _ranked((1, 0.9, 1.1), (2, 1.9, 2.1), better="none") == ["", ""]
    assert _ranked((1, 0.9, 1.1), (2, 1.9, 2.1), n=29) == ["", ""]


def test_no_mark_where_an_interval_is_missing() -> None:
    column = Column(split_pass("smile+"), metric("fid"), "p")
    rows = [Row("a", "a", (Entry(1.0, n=40),)), Row("b", "b", (Entry(2.0, 1.9, 2.1, n=40),))]
    assert [row.entries[0].mark for row in marked(rows, [column], Standing(Facts()))] == ["", ""]


def test_absent_methods_and_columns_say_why() -> None:
    missing = {
        "methods": {"hfgi": {"status": "not released", "reason": "No car checkpoint."}},
        "columns": {"kid@synthetic-2": {"reason": "No network.", "command": "get it"}},
    }
    table = _scores(gather_facts(manifest(missing=missing)))
    hfgi = next(row for row in table.rows if row.name == "hfgi")
    assert hfgi.absent is not None and hfgi.absent.word == "not released"
    kid = _entry(table, "warpres", "smile+:kid@synthetic-2")
    assert kid.word == "missing"
    assert table.notes[kid.note - 1] == "kid@synthetic-2: No network. Get it: get it"
    assert table.notes[hfgi.absent.note - 1] == "HFGI: No car checkpoint."


def test_failures_are_counted_and_a_number_that_is_none_is_a_word() -> None:
    cells = summaries()
    cells["e4e", "smile+"]["id@synthetic-2"] = FakeCell(None, None, None, 0, 120)
    cells["styleres", "smile+"]["id@synthetic-2"] = FakeCell(float("nan"), None, None, 0, 120)
    table = build_tables(cells, passes(), facts())[0]
    for method in ("e4e", "styleres"):
        entry = _entry(table, method, "smile+:id@synthetic-2")
        assert (entry.value, entry.word, entry.failed) == (None, "failed", 120)
    assert _entry(table, "e4e", "pose+:id@synthetic-2").failed == 2


def test_a_column_that_does_not_apply_is_a_dash() -> None:
    truth = build_tables(summaries(), passes(), facts())[1]
    assert _entry(truth, "styleres", "pose+:flow_epe_moving@synthetic-2").word == "–"
    assert _entry(truth, "warpres", "pose+:flow_epe_moving@synthetic-2").value is not None


def test_images_are_counted_a_pass() -> None:
    cells = summaries()
    for method in METHODS:
        cells[method, "smile-"] = {name: replace(c, n=133 - c.failed) for name, c in cells[method, "smile-"].items()}
    smile = build_tables(cells, passes(), facts())[0].blocks[1]
    assert smile.counts == (120, 133)
    assert smile.count_text == "n = 120 / 133"


def test_a_sweep_has_a_block_a_strength() -> None:
    cells = {("e4e", name): {"fd@p": FakeCell(1.0, 0.9, 1.1, 5)} for name in ("smile+1.5", "smile-1.5", "smile+3")}
    steps = [FakePass("smile-1.5", -1.5), FakePass("smile+1.5", 1.5), FakePass("smile+3", 3.0)]
    (table,) = build_tables(cells, steps, facts())
    assert [block.title for block in table.blocks] == ["Smile ±1.5", "Smile ±3"]


def test_a_metric_nobody_described_is_shown_all_the_same() -> None:
    cells = {("e4e", "reconstruction"): {"novel@p": FakeCell(0.5, 0.4, 0.6, 5)}}
    (table,) = build_tables(cells, [], facts())
    assert table.columns[0].label == "novel" and table.columns[0].metric.better == "none"


def test_the_protocol_has_the_last_word_on_a_column() -> None:
    protocols = {"synthetic-2": {"columns": [{"stem": "fd", "title": "World FD", "better": "higher", "what": "Text."}]}}
    fd = _scores(gather_facts(manifest(protocols=protocols))).columns[0]
    assert (fd.label, fd.metric.arrow, fd.metric.help) == ("World FD", "↑", "Text.")


@pytest.mark.parametrize(
    ("name", "title"),
    [("psp+warpres", "pSp+WarpRes"), ("restyle-psp", "ReStyle (pSp)"), ("mine", "mine"), ("real", "Copy of input")],
)
def test_a_method_is_called_as_its_entry_says_also_where_an_older_run_says_nothing(name: str, title: str) -> None:
    assert method_title(name, gather_facts({"methods": {name: {}}}).titles) == title


def test_methods_stand_in_the_paper_s_order_with_combinations_behind_their_base() -> None:
    order = ["psp", "psp+styleres", "psp+warpres", "e4e", "restyle", "restyle-psp", "hyperstyle", "hfgi"]
    order += ["styletransformer", "featurestyle", "styleres", "warpres", "mine"]
    facts = gather_facts({"methods": {name: {} for name in sorted(order)}})
    assert in_reading_order(facts.methods, facts.places) == order


@pytest.mark.parametrize(
    ("column", "parts"),
    [
        ("reconstruction", ("reconstruction", "", "")),
        ("pose-", ("pose", "-", "")),
        ("smile+1.5", ("smile", "+", "1.5")),
        ("head_angle_up", ("head_angle_up", "", "")),
        ("two-part", ("two-part", "", "")),
        ("+", ("+", "", "")),
    ],
)
def test_pass_names(column: str, parts: tuple[str, str, str]) -> None:
    name = split_pass(column)
    assert (name.edit, name.sign, name.variant) == parts
