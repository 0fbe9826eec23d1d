"""Cells, keys and digests of a plan."""

from __future__ import annotations

import pytest

from bench.core.contract import EditPass
from bench.core.errors import ImageError, UsageError
from bench.plan.work import Work, disk_bytes, edit_digest, row_bytes, subset_labels
from tests.unit.doubles import FewImages, MeanEvaluator, PoolingMethod, make_work, passes, spec


def _two_by_two() -> Work:
    methods = [PoolingMethod("a"), PoolingMethod("b")]
    return make_work(FewImages(9), methods, evaluators=(MeanEvaluator("x-1"), MeanEvaluator("y-1")))


def test_cells_count_images_by_subset_and_what_is_done() -> None:
    work = make_work(
        FewImages(9), [PoolingMethod("a"), PoolingMethod("b")], evaluators=(MeanEvaluator("x-1"), MeanEvaluator("y-1"))
    )
    cells = {(cell.method, cell.pass_name, cell.protocol): cell for cell in work.cells(())}
    # Two protocols of the real images and of two methods' five passes.
    assert len(cells) == 2 * (1 + 2 * 5)
    # Images 0, 2, 4, 6, 8 do not smile; 1, 3, 5, 7 do.
    assert cells["a", "smile+", "x-1"].images == 5
    assert cells["a", "smile-", "x-1"].images == 4
    assert cells["b", "pose+", "y-1"].images == 9
    done = {
        row.key for _, row in work.rows() if row.method == "a" and row.pass_name == "smile+" and row.protocol == "x-1"
    }
    after = {(cell.method, cell.pass_name, cell.protocol): cell.done for cell in work.cells(done)}
    assert after["a", "smile+", "x-1"] == 5
    assert sum(after.values()) == 5


def test_every_row_has_its_own_key() -> None:
    work = make_work(
        FewImages(9), [PoolingMethod("a"), PoolingMethod("b")], evaluators=(MeanEvaluator("x-1"), MeanEvaluator("y-1"))
    )
    keys = [row.key for _, row in work.rows()]
    assert len(keys) == len(set(keys)) == sum(cell.images for cell in work.cells(()))


def test_a_image_without_a_readable_file_still_has_a_key() -> None:
    class Unreadable:
        name = "x.jpg"
        attributes = {"Smiling": 1}  # noqa: RUF012

        @property
        def digest(self) -> str:
            raise ImageError("x.jpg: no such file")

    data = FewImages(1)
    data.images = [Unreadable()]  # type: ignore[list-item]
    work = make_work(data, [PoolingMethod()])
    assert work.digests == ("",)
    assert all(len(row.key) == 64 for _, row in work.rows())


def test_a_subset_needs_its_label() -> None:
    work = make_work(FewImages(3), [PoolingMethod()])
    with pytest.raises(UsageError, match="Young"):
        work.members(EditPass("age+", None, 3.0, "Young=1"))


def test_labels_and_digests_of_passes() -> None:
    assert subset_labels(passes()) == ["Smiling"]
    assert edit_digest(passes()[0]) == "reconstruction"
    assert edit_digest(passes()[1]) == edit_digest(passes()[2]) != edit_digest(passes()[3])
    assert spec(PoolingMethod("a")).digest != spec(PoolingMethod("b")).digest


def test_observers_are_part_of_the_keys() -> None:
    class Observer:
        digest = "version 1"

        def knows(self, edit: EditPass) -> bool:
            return False

    plain = make_work(FewImages(2), [PoolingMethod()])
    watched = make_work(FewImages(2), [PoolingMethod()], observers=(Observer(),))
    assert not {row.key for _, row in plain.rows()} & {row.key for _, row in watched.rows()}


def test_the_forecast_of_disk_grows_with_images_and_protocols() -> None:
    def size(count: int, *protocols: str) -> int:
        return disk_bytes(
            make_work(FewImages(count), [PoolingMethod()], evaluators=tuple(map(MeanEvaluator, protocols)))
        )

    assert size(20, "x-1") == 2 * size(10, "x-1")
    assert size(10, "x-1", "y-1") == 2 * size(10, "x-1")
    # A row's features of 2,048 float32 are 8 kB.
    assert size(10, "x-1") > 50 * 8192


def test_the_forecast_of_disk_counts_shared_features_once_and_missing_rows_alone() -> None:
    class Both(MeanEvaluator):
        set_metrics = ("fd", "kd")

    def work(evaluator: MeanEvaluator) -> Work:
        return make_work(FewImages(10), [PoolingMethod()], evaluators=(evaluator,))

    assert disk_bytes(work(Both())) == disk_bytes(work(MeanEvaluator()))
    rows = [row.key for _, row in work(MeanEvaluator()).rows()]
    assert disk_bytes(work(MeanEvaluator()), set(rows)) == 0
    assert disk_bytes(work(MeanEvaluator()), set(rows[1:])) == row_bytes(1) == 900 + 8192
