"""The loop: what is read once, what a limit, a batch, a rank or a fault may not change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.contract import EditPass, ImageRecord
from bench.core.errors import MissingError
from bench.core.observer import Observation, Output
from bench.results.features import load_features
from bench.results.reading import read_rows
from tests.unit.doubles import SIZE, FewImages, MeanEvaluator, PoolingMethod, fingerprint, make_work, run_work


def test_each_image_is_read_and_described_once_for_all_methods(tmp_path: Path) -> None:
    data, evaluator = FewImages(8), MeanEvaluator()
    methods = [PoolingMethod("a"), PoolingMethod("b", 0.5)]
    run_work(make_work(data, methods, evaluators=(evaluator,)), tmp_path)
    assert sorted(data.reads) == sorted(image.name for image in data.images)
    # 8 real images; a method's 8 reconstructions, 8 smiles (either sign), 8 + 8 poses.
    assert evaluator.described == 8 + 2 * (8 + 8 + 8 + 8)


def test_one_inversion_serves_all_edits_and_opposite_halves_share_a_call(tmp_path: Path) -> None:
    method = PoolingMethod()
    run_work(make_work(FewImages(8), [method]), tmp_path)
    assert method.inverted == 2
    assert method.edited == 2 * 4


def test_rows_are_the_plan(tmp_path: Path) -> None:
    work = make_work(FewImages(10), [PoolingMethod()])
    run_work(work, tmp_path)
    rows = read_rows(tmp_path)
    assert {row.key for row in rows} == {row.key for _, row in work.rows()}
    assert len(rows) == 10 + (10 + 5 + 5 + 10 + 10)
    assert all(cell.done == cell.images for cell in work.cells({row.key for row in rows}))


def test_features_are_the_images_own(tmp_path: Path) -> None:
    data = FewImages(6)
    run_work(make_work(data, [PoolingMethod()]), tmp_path)
    reals = [row for row in read_rows(tmp_path) if row.method == "real"]
    features = load_features(tmp_path, reals, "fd")
    by_name = {image.name: image for image in data.images}
    for row, feature in zip(reals, features, strict=True):
        assert np.allclose(feature, data.read(by_name[row.image]).mean((0, 1)) / 255, atol=1e-5)


@pytest.mark.parametrize("changes", [{"batch": 1}, {"batch": 100}, {"loaded_methods": 1}])
def test_how_it_is_run_changes_no_byte(tmp_path: Path, changes: dict[str, Any]) -> None:
    for folder, own in (("plain", {}), ("changed", changes)):
        run_work(
            make_work(FewImages(11, broken=[5]), [PoolingMethod(), PoolingMethod("b", 0.5)], **own), tmp_path / folder
        )
    assert fingerprint(tmp_path / "plain") == fingerprint(tmp_path / "changed")


def test_a_smaller_limit_first_changes_no_byte(tmp_path: Path) -> None:
    data = FewImages(11)
    run_work(make_work(data, [PoolingMethod()]), tmp_path / "whole")
    for limit in (3, 7, 11):
        run_work(make_work(data, [PoolingMethod()], limit), tmp_path / "grown")
    assert fingerprint(tmp_path / "whole") == fingerprint(tmp_path / "grown")


def test_shards_merge_to_the_same_table(tmp_path: Path) -> None:
    run_work(make_work(FewImages(13), [PoolingMethod()]), tmp_path / "one")
    for rank in range(3):
        run_work(
            make_work(FewImages(13), [PoolingMethod()]), tmp_path / "three", {"RANK": str(rank), "WORLD_SIZE": "3"}
        )
    assert sorted(path.name for path in (tmp_path / "three" / "rows").glob("*.jsonl")) == [
        "0.jsonl",
        "1.jsonl",
        "2.jsonl",
    ]
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "three")


def test_a_second_run_computes_nothing(tmp_path: Path) -> None:
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path)
    data, method, evaluator = FewImages(6), PoolingMethod(), MeanEvaluator()
    run_work(make_work(data, [method], evaluators=(evaluator,)), tmp_path)
    assert (data.reads, method.inverted, evaluator.described) == ([], 0, 0)


def test_an_unreadable_image_is_failed_rows_and_nothing_else(tmp_path: Path) -> None:
    run_work(make_work(FewImages(8, broken=[5]), [PoolingMethod()]), tmp_path)
    rows = read_rows(tmp_path)
    failed = [row for row in rows if row.status == "failed"]
    assert {row.image for row in failed} == {"5.png"}
    assert {row.reason for row in failed} == {"input: 5.png: is empty (0 bytes)"}
    # The real image itself, the reconstruction, smile- and both poses.
    assert len(failed) == 5
    assert all(not row.values and not row.features for row in failed)


@pytest.mark.parametrize("fault", ["invert", "nan"])
def test_a_method_that_fails_on_some_images_keeps_the_others(tmp_path: Path, fault: str) -> None:
    run_work(make_work(FewImages(24), [PoolingMethod()]), tmp_path / "sound")
    run_work(make_work(FewImages(24), [PoolingMethod(fails=fault)]), tmp_path / "faulty")
    sound = {row.key: row for row in read_rows(tmp_path / "sound")}
    faulty = read_rows(tmp_path / "faulty")
    failed = [row for row in faulty if row.status == "failed"]
    assert failed
    assert len(failed) < len(faulty) / 2
    assert {row.reason for row in failed} <= {
        "RuntimeError: this picture is too bright",
        "the output has NaN or infinite values",
    }
    for row in faulty:
        if row.status == "ok":
            assert row.values == sound[row.key].values


def test_a_value_that_cannot_be_had_is_a_failure_of_its_column(tmp_path: Path) -> None:
    run_work(make_work(FewImages(8), [PoolingMethod()]), tmp_path)
    rows = [row for row in read_rows(tmp_path) if row.failures and row.method != "real"]
    assert rows
    for row in rows:
        assert row.status == "ok"
        assert "id" not in row.values
        assert row.failures == {"id": "no face found in the generated image"}


class _Bounds:
    """An observer: brightness of the output, NaN for one image, the size of the announced flow; truths are grey."""

    digest = "bounds"

    def knows(self, edit: EditPass) -> bool:
        return edit.pass_name == "pose+"

    def observe(self, outputs: Sequence[Output | None]) -> Sequence[Observation]:
        return [Observation() if output is None else self._observed(output) for output in outputs]

    def _observed(self, output: Output) -> Observation:
        values = {"bright": float("nan") if output.image.name == "0.png" else float(output.pixels.mean())}
        values |= {name: float(np.abs(value).mean()) for name, value in output.announced.items()}
        return Observation(values, truth=np.full((SIZE, SIZE, 3), 100, np.uint8))

    def asked(self, edits: Sequence[tuple[ImageRecord, EditPass] | None]) -> Sequence[np.ndarray | None]:
        grey = np.full((SIZE, SIZE, 3), 50, np.uint8)
        return [grey if each is not None and self.knows(each[1]) else None for each in edits]

    def asked_flow(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        return np.ones((2, 4, 4), np.float32)


def test_observers_add_values_and_true_images(tmp_path: Path) -> None:
    run_work(make_work(FewImages(4), [PoolingMethod()], observers=(_Bounds(),)), tmp_path)
    rows = [row for row in read_rows(tmp_path) if row.method == "pool"]
    assert all("flow" in row.values for row in rows)
    assert all(("bright" in row.values) == (row.image != "0.png") for row in rows)
    assert {row.failures.get("bright") for row in rows if row.image == "0.png"} == {"the value is nan"}
    truth = sorted(path.name for path in (tmp_path / "pictures/truth/pose+").iterdir())
    assert truth == ["0.flow.npy", "0.png", "1.flow.npy", "1.png"]
    flow = np.load(tmp_path / "pictures/pool/pose+/0.flow.npy")
    assert (flow.shape, flow.dtype) == ((2, 4, 4), np.float32)


def test_the_metrics_against_both_truths_are_columns(tmp_path: Path) -> None:
    dataset = FewImages(4)
    run_work(make_work(dataset, [PoolingMethod()], observers=(_Bounds(),)), tmp_path)
    found = {(row.method, row.pass_name, row.image): row for row in read_rows(tmp_path)}
    pixels = dataset.read(dataset.images[1]).astype(float) / 255
    for edit, metrics in (("pose+", {"truth_mse", "asked_mse"}), ("pose-", {"truth_mse"})):
        values = found["pool", edit, "1.png"].values
        assert {metric for metric in values if metric.endswith("_mse")} == metrics
    # What doing nothing scores against what was asked, and the asked edit itself as if a method had made it.
    still, true = found["real", "pose+", "1.png"], found["truth", "pose+", "1.png"]
    assert still.values["asked_mse"] == pytest.approx(np.mean((pixels - 50 / 255) ** 2), rel=1e-5)
    assert still.features == {}
    assert true.values["mse"] == pytest.approx(still.values["asked_mse"], rel=1e-5)
    assert true.values["bright"] == 50
    assert true.features.keys() == {"fd"}
    assert ("truth", "pose-", "1.png") not in found


def test_protocols_that_store_feed_methods_the_stored_image(tmp_path: Path) -> None:
    class Dark(MeanEvaluator):
        def store(self, pixels: np.ndarray) -> np.ndarray:
            return pixels // 2

    evaluators = (MeanEvaluator("plain-1"), Dark("dark-1", source="stored"))
    method = PoolingMethod()
    run_work(make_work(FewImages(4), [method], evaluators=evaluators), tmp_path / "both")
    assert method.inverted == 2
    own = PoolingMethod()
    run_work(make_work(FewImages(4), [own], evaluators=evaluators[:1]), tmp_path / "plain")
    both = {row.key: row.values for row in read_rows(tmp_path / "both") if row.protocol == "plain-1"}
    assert both == {row.key: row.values for row in read_rows(tmp_path / "plain")}


def test_no_memory_ends_the_run_with_advice(tmp_path: Path) -> None:
    class Hungry(PoolingMethod):
        def edit(self, *_: Any) -> Any:
            raise MemoryError

    with pytest.raises(MissingError, match="out of memory"):
        run_work(make_work(FewImages(4), [Hungry()]), tmp_path)
    assert {row.method for row in read_rows(tmp_path)} == {"real"}
