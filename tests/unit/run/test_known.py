"""A new metric computes only its own column: what another protocol measured alike is not measured again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.plan.work import Work
from bench.results.columns import record_columns, recorded_columns
from bench.results.reading import read_rows
from bench.run.known import Known, complete_rows, find_known
from tests.unit.doubles import FewImages, MeanEvaluator, PoolingMethod, fingerprint, make_work, run_work


def _evaluator(protocol: str, **digests: str) -> MeanEvaluator:
    evaluator = MeanEvaluator(protocol)
    evaluator.column_digests = {"mse": "mse", "id": "id", "fd": "fd", **digests}
    return evaluator


def _run(run: Path, *evaluators: MeanEvaluator, beside: bool = True) -> tuple[Work, Known]:
    """As the `run` command does, without what it says."""
    work = make_work(FewImages(10, broken=[5]), [PoolingMethod()], evaluators=evaluators)
    (run / "rows").mkdir(parents=True, exist_ok=True)
    (run / "manifest.json").touch()
    record_columns(run, {work.protocol_digest(item): work.column_digests(item) for item in evaluators})
    done = {row.key for row in read_rows(run)}
    missing = [row for _, row in work.rows() if row.key not in done]
    known = find_known(run, work, missing, beside=beside)
    if known:
        complete_rows(run, "0", work, known, missing)
    run_work(work, run, known=known)
    return work, known


@pytest.mark.parametrize("where", ["one", "two"])
def test_only_the_changed_column_is_measured(tmp_path: Path, where: str) -> None:
    _run(tmp_path / "one", _evaluator("fake-1"))
    new = _evaluator("fake-2", id="another id")
    _run(tmp_path / where, new)
    assert new.measured and set(new.measured) == {"id"}
    alone = _evaluator("fake-2", id="another id")
    _run(tmp_path / "else" / "alone", alone)
    assert set(alone.measured) == {"mse", "id", "fd"}
    if where == "two":
        assert fingerprint(tmp_path / "two") == fingerprint(tmp_path / "else" / "alone")


def test_rows_that_lack_nothing_are_copied_and_no_method_runs(tmp_path: Path) -> None:
    _run(tmp_path / "one", _evaluator("fake-1"))
    new = _evaluator("fake-2")
    _, known = _run(tmp_path / "two", new)
    assert new.measured == [] and known
    _run(tmp_path / "else" / "alone", _evaluator("fake-2"))
    assert fingerprint(tmp_path / "two") == fingerprint(tmp_path / "else" / "alone")
    # The images of the grids are made all the same.
    assert len(list((tmp_path / "two/pictures").rglob("*.png"))) == len(
        list((tmp_path / "else/alone/pictures").rglob("*.png"))
    )


def test_columns_of_several_protocols_add_up(tmp_path: Path) -> None:
    _run(tmp_path / "one", _evaluator("fake-1", id="x", fd="y"))
    _run(tmp_path / "two", _evaluator("fake-2", mse="x", fd="z"))
    new = _evaluator("fake-3")
    _run(tmp_path / "three", new)
    assert set(new.measured) == {"fd"}
    _run(tmp_path / "else" / "alone", _evaluator("fake-3"))
    assert fingerprint(tmp_path / "three") == fingerprint(tmp_path / "else" / "alone")


def test_damaged_features_are_measured_again_and_nothing_is_taken_when_told(tmp_path: Path) -> None:
    _run(tmp_path / "one", _evaluator("fake-1"))
    (features,) = (tmp_path / "one/rows").glob("*.f32")
    data = np.fromfile(features, "<f4")
    data[:3] += 1
    data.tofile(features)
    new = _evaluator("fake-2")
    _run(tmp_path / "two", new)
    assert set(new.measured) == {"fd"} and len(new.measured) < 40
    _run(tmp_path / "else" / "alone", _evaluator("fake-2"))
    assert fingerprint(tmp_path / "two") == fingerprint(tmp_path / "else" / "alone")
    fresh = _evaluator("fake-2")
    _run(tmp_path / "three", fresh, beside=False)
    assert set(fresh.measured) == {"mse", "id", "fd"}


def test_a_record_that_is_damaged_gives_nothing(tmp_path: Path) -> None:
    _run(tmp_path / "one", _evaluator("fake-1"))
    path = tmp_path / "one/rows/columns.json"
    path.write_text(path.read_text().replace("mse", "mze", 1))
    assert recorded_columns(tmp_path / "one") == {}
    new = _evaluator("fake-2")
    _run(tmp_path / "two", new)
    assert set(new.measured) == {"mse", "id", "fd"}
