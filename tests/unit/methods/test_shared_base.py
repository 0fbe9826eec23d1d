"""Methods over one encoder: which have the same, and that sharing its result changes no byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.core.contract import EditPass, Method
from bench.plan.work import MethodSpec, Work
from bench.results.reading import read_rows
from methods.psp.adapter import PyramidMethod
from methods.registry import load_method
from tests.unit.doubles import FewImages, MeanEvaluator, fingerprint, run_work
from tests.unit.methods.small import write_small

SHIPPED = Path(__file__).parents[3] / "bench/world/weights"
NAMES = ("e4e", "styleres", "warpres")


def _shipped(name: str) -> Any:
    parts = dict.fromkeys((name, "generator", "e4e"))
    return load_method(name, checkpoint=[SHIPPED / f"{part}.safetensors" for part in parts])


class Faces(FewImages):
    """Random images of the shipped networks' size, or larger."""

    size = 64

    def read(self, image: Any) -> np.ndarray:
        return np.kron(super().read(image), np.ones((self.size // 16, self.size // 16, 1), np.uint8))


class Small(MeanEvaluator):
    """Keeps 64 px, whatever comes in."""

    def store(self, pixels: np.ndarray) -> np.ndarray:
        step = len(pixels) // 64
        return pixels[::step, ::step]


def _work(methods: dict[str, Method], size: int = 64) -> Work:
    data = Faces(3)
    data.size = size
    evaluator = Small()
    passes = (EditPass("reconstruction", None, 0.0),)
    specs = tuple(
        MethodSpec(name, name, passes, lambda method=method: method)  # type: ignore[misc]
        for name, method in methods.items()
    )
    return Work(data, tuple(data.images), specs, (evaluator,), group=2)  # type: ignore[arg-type]


def _count_encodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    encode = PyramidMethod.encode

    def counted(self: PyramidMethod, images: torch.Tensor) -> Any:
        calls.append(self.name)
        return encode(self, images)

    monkeypatch.setattr(PyramidMethod, "encode", counted)
    return calls


def test_the_shipped_methods_stand_on_one_encoder() -> None:
    assert len({_shipped(name).base_digest for name in NAMES}) == 1


def test_another_encoder_has_another_digest(tmp_path: Path) -> None:
    path = write_small(tmp_path, "e4e", "faces")
    method, same = (load_method("e4e", checkpoint=path) for _ in range(2))
    assert isinstance(method, PyramidMethod) and isinstance(same, PyramidMethod)
    with torch.no_grad():
        dict(same.generator.named_parameters())["conv1.conv.weight"].add_(1)
    # The generator has no part in the codes.
    assert method.base_digest == same.base_digest
    changed = load_method("e4e", checkpoint=path)
    assert isinstance(changed, PyramidMethod)
    with torch.no_grad():
        changed.latent_avg[0, 0] += 1e-6
    assert changed.base_digest != method.base_digest
    psp = load_method("psp", checkpoint=write_small(tmp_path, "psp", "faces"))
    assert isinstance(psp, PyramidMethod)
    assert psp.base_digest != method.base_digest


def test_the_encoder_runs_once_and_no_byte_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {name: _shipped(name) for name in NAMES}
    calls = _count_encodings(monkeypatch)
    run_work(_work(methods), tmp_path / "together")
    # Three images are two groups, whatever the number of methods.
    assert len(calls) == 2
    for name, method in methods.items():
        run_work(_work({name: method}), tmp_path / "apart")
    assert len(calls) == 2 + 3 * 2
    assert {row.method for row in read_rows(tmp_path / "apart")} == {"real", *NAMES}
    assert fingerprint(tmp_path / "together") == fingerprint(tmp_path / "apart")


def test_images_resized_by_another_filter_are_encoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    methods = {name: _shipped(name) for name in NAMES}
    calls = _count_encodings(monkeypatch)
    run_work(_work(methods, size=128), tmp_path)
    # e4e by its own filter; StyleRes and WarpRes by StyleRes's.
    assert len(calls) == 2 * 2
