"""Failures heal: tried again by the same command, stopped where the device is lost, kept where the image is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from bench.core.contract import ImageRecord, Inversion
from bench.core.errors import DeviceError, ExitCode
from bench.results.reading import read_rows
from tests.unit.doubles import FewImages, MeanEvaluator, PoolingMethod, fingerprint, make_work, run_work


class _Once(PoolingMethod):
    """Fails in its first calls, as a device does that recovers."""

    def __init__(self, failures: int, message: str = "RuntimeError: a hiccup") -> None:
        super().__init__()
        self.left, self.message = failures, message

    def invert(self, images: Tensor) -> Inversion:
        if self.left:
            self.left -= 1
            raise RuntimeError(self.message)
        return super().invert(images)


def _run(folder: Path, method: PoolingMethod, **changes: Any) -> None:
    run_work(make_work(changes.pop("data", FewImages(12, broken=[5])), [method], **changes), folder)


def test_failed_rows_are_tried_again_and_good_ones_kept(tmp_path: Path) -> None:
    _run(tmp_path / "sound", PoolingMethod())
    _run(tmp_path / "run", _Once(5))
    failed = [row for row in read_rows(tmp_path / "run") if row.status == "failed"]
    assert len({row.image for row in failed}) > 2
    second = PoolingMethod()
    _run(tmp_path / "run", second)
    assert second.inverted == 1  # the one group that had failed
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "sound")


def test_an_image_whose_bytes_are_broken_is_not_tried_again(tmp_path: Path) -> None:
    _run(tmp_path, PoolingMethod())
    data = FewImages(12, broken=[5])
    _run(tmp_path, PoolingMethod(), data=data)
    assert data.reads == []


@pytest.mark.parametrize("message", ["CUDA error: uncorrectable ECC error encountered", "device-side assert triggered"])
def test_a_lost_device_stops_the_run_with_its_reason(tmp_path: Path, message: str) -> None:
    _run(tmp_path / "sound", PoolingMethod())
    method = _Once(10**6, message)
    with pytest.raises(DeviceError, match=message) as caught:
        _run(tmp_path / "run", method)
    assert caught.value.exit_code == ExitCode.FAILED_CELLS and "same command" in caught.value.next_step
    assert method.left == 10**6 - 1  # no second call
    assert {row.status for row in read_rows(tmp_path / "run") if row.image != "5.png"} == {"ok"}
    _run(tmp_path / "run", PoolingMethod())
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "sound")


def test_faults_around_real_images_heal_too(tmp_path: Path) -> None:
    class Away(FewImages):
        def read(self, image: ImageRecord) -> np.ndarray:
            if image.name == "3.png":
                raise TimeoutError("the server does not answer")
            return super().read(image)

    class Blind(MeanEvaluator):
        def extract(self, stored: Any) -> Any:
            raise RuntimeError("no answer")

    _run(tmp_path / "sound", PoolingMethod())
    _run(tmp_path / "run", PoolingMethod(), data=Away(12, broken=[5]))
    reasons = {row.reason for row in read_rows(tmp_path / "run") if row.image == "3.png"}
    assert reasons == {"input not read: TimeoutError: the server does not answer"}
    _run(tmp_path / "run", PoolingMethod(), data=FewImages(4), evaluators=(Blind(),))
    _run(tmp_path / "run", PoolingMethod())
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "sound")
