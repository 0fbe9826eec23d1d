"""A run as a data frame: one row a result, what is absent is NaN with its reason, what lacks is told."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.core.evaluator import ABOUT
from bench.results.manifest import write_manifest
from bench.results.reading import read_rows
from bench.results.wholeness import load_results, load_run
from tests.unit.doubles import FewImages, PoolingMethod, make_work, run_work
from tests.unit.results.test_floors import _manifest


@pytest.fixture
def run(tmp_path: Path) -> Path:
    work = make_work(FewImages(8, broken=[5]), [PoolingMethod()])
    run_work(work, tmp_path)
    write_manifest(tmp_path, _manifest(tmp_path, work))
    return tmp_path


def test_one_row_a_result_and_one_column_a_metric(run: Path) -> None:
    frame = load_run(run)
    assert list(frame.columns[:8]) == [*ABOUT]
    assert len(frame) == len(read_rows(run)) and frame.attrs["whole"]
    means = frame[frame.status == "ok"].groupby(["method", "pass"])["mse"].mean()
    assert means["real", "original"] == 0 < means["pool", "smile+"]
    failed = frame[frame.status == "failed"]
    assert set(failed.image) == {"5.png"} and failed["mse"].isna().all()
    absent = frame[frame.failures.map(bool)]
    assert all(set(own) == {"id"} and "no face" in own["id"] for own in absent.failures)
    assert frame["id"].isna().sum() == len(absent) + len(failed)


def test_frames_of_runs_can_be_joined(run: Path) -> None:
    """Pandas asks whether what frames say of themselves is the same."""
    both = pd.concat([load_run(run), load_run(run)])
    assert len(both) == 2 * len(read_rows(run))
    assert len(load_run(run).merge(load_run(run), on=["method", "pass", "image", "protocol"])) == len(read_rows(run))


def test_an_unfinished_run_warns(run: Path) -> None:
    rows = next((run / "rows").glob("*.jsonl"))
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:-3]))
    with pytest.warns(UserWarning, match="Unfinished"):
        assert not load_run(run).attrs["whole"]


def test_the_frame_is_made_once_and_its_labels_lead_to_the_rows(run: Path) -> None:
    results = load_results(run)
    assert results.frame is results.frame
    smiling = results.frame[(results.frame.method == "pool") & (results.frame["pass"] == "smile+")]
    rows = [results.rows[at] for at in smiling.index]
    assert rows and {(row.method, row.pass_name) for row in rows} == {("pool", "smile+")}
    assert [row.image for row in rows] == smiling.image.tolist()
    assert all(
        row.values.get("mse") == value or row.status == "failed" for row, value in zip(rows, smiling.mse, strict=True)
    )
