"""When the gate closes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pandas as pd
import pytest

from bench.core.errors import UsageError
from bench.results.paired import difference
from bench.results.regression import check_comparable, compare, moved
from metrics.protocol import load_protocol
from metrics.summary import Cell

Cells = dict[tuple[str, str], dict[str, Cell]]


def _cell(value: float | None, spread: float = 0.1, failed: int = 0) -> Cell:
    low, high = (None, None) if value is None else (value - spread, value + spread)
    return Cell(value, low, high, 100, failed, "skip")


def _run(column: str, cell: Cell | None) -> Cells:
    return {("e4e", "smile+"): {column: cell} if cell else {}}


def _better(column: str) -> Literal["up", "down", "none"]:
    names: dict[str, Literal["up", "down", "none"]] = {"fid@paper-1": "down", "id@paper-1": "up"}
    return names.get(column, "none")


@pytest.mark.parametrize(
    ("column", "before", "after", "verdict"),
    [
        ("fid@paper-1", _cell(10.0), _cell(10.0), "same"),
        ("fid@paper-1", _cell(10.0), _cell(10.15), "same"),  # out of the interval, within 2 %
        ("fid@paper-1", _cell(10.0, 2.0), _cell(11.0), "same"),  # more than 2 %, within the interval
        ("fid@paper-1", _cell(10.0), _cell(11.0), "worse"),
        ("fid@paper-1", _cell(10.0), _cell(9.0), "better"),
        ("id@paper-1", _cell(0.5, 0.01), _cell(0.4, 0.01), "worse"),
        ("id@paper-1", _cell(0.5, 0.01), _cell(0.6, 0.01), "better"),
        ("id@paper-1", _cell(0.5, 0.01), _cell(0.6, 0.1), "same"),  # intervals that overlap
        ("id@paper-1", _cell(0.5), _cell(0.5, failed=1), "worse"),
        ("id@paper-1", _cell(0.5), _cell(None), "missing"),
        ("id@paper-1", _cell(0.5), None, "missing"),
        ("id@paper-1", _cell(None), _cell(0.5), "unjudged"),
        ("achieved@paper-1", _cell(1.0), _cell(9.0), "unjudged"),
    ],
)
def test_verdicts(column: str, before: Cell, after: Cell | None, verdict: str) -> None:
    (finding,) = compare(_run(column, before), _run(column, after), _better)
    assert finding.verdict == verdict


def test_what_has_values_by_image_is_judged_by_their_differences() -> None:
    """The means' intervals overlap by far, and every image says the same."""
    runs = _run("id@paper-1", _cell(0.5, 0.2)), _run("id@paper-1", _cell(0.45, 0.2))
    before = pd.Series({f"{i}": 0.3 + 0.01 * i for i in range(40)})
    after = before - 0.05
    rules = load_protocol("paper-1").numbers
    assert compare(*runs, _better)[0].verdict == "same"
    judged = compare(*runs, _better, paired=lambda m, e, c: difference(e, c, before, after, rules))
    assert judged[0].verdict == "worse"
    noisy = before + [0.3 if int(name) % 2 else -0.4 for name in before.index]
    judged = compare(*runs, _better, paired=lambda m, e, c: difference(e, c, before, noisy, rules))
    assert judged[0].verdict == "same"


def test_few_images_close_the_gate_but_never_open_it_wider() -> None:
    first, worse, better = (_run("id@paper-1", replace(_cell(v, 0.01), n=16)) for v in (0.5, 0.4, 0.6))
    assert compare(first, worse, _better)[0].verdict == "worse"
    (gain,) = compare(first, better, _better)
    assert gain.verdict == "unjudged" and "too few" in gain.detail


def test_the_tolerance_is_a_share_of_the_value() -> None:
    runs = _run("fid@paper-1", _cell(10.0, 0.0)), _run("fid@paper-1", _cell(11.0))
    assert [compare(*runs, _better, tolerance)[0].verdict for tolerance in (0.05, 0.2)] == ["worse", "same"]


def _manifest(**changes: Any) -> dict[str, Any]:
    return {"pictures": {"2.jpg": {"digest": "a"}}, "protocols": {"paper-1": {"digest": "p"}}, **changes}


@pytest.mark.parametrize(
    "other",
    [
        {"pictures": {"2.jpg": {"digest": "b"}}},
        {"pictures": {}},
        {"protocols": {"paper-1": {"digest": "q"}}},
        {"protocols": {"standard-1": {"digest": "p"}}},
    ],
)
def test_runs_that_cannot_be_compared_are_refused(other: dict[str, Any]) -> None:
    check_comparable(_manifest(), _manifest())
    with pytest.raises(UsageError, match="differ"):
        check_comparable(_manifest(), _manifest(**other))


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [(20.0, 20.05, "same"), (20.0, 21.0, "moved"), (20.0, 19.0, "moved"), (0.01, 0.012, "same"), (0.01, 0.02, "moved")],
)
def test_what_must_not_move_may_not_get_better_either(before: float, after: float, verdict: str) -> None:
    found = compare(_run("id@paper-1", _cell(before, 0.001)), _run("id@paper-1", _cell(after, 0.001)), _better)
    assert [finding.verdict for finding in moved(found, 0.005)] == [verdict]


def test_a_missing_cell_is_not_merely_unmoved() -> None:
    found = compare(_run("id@paper-1", _cell(0.5)), _run("id@paper-1", None), _better)
    assert [finding.verdict for finding in moved(found, 0.005)] == ["missing"]
