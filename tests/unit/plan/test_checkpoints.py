"""Where a method's own checkpoint and its parts are found, and what is said where one is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.checkpoint import file_digest, write_safetensors
from bench.data import kind_of, kinds
from bench.plan.checkpoints import checkpoint_files
from bench.plan.config import load_config
from bench.world.networks import WEIGHTS
from methods.checkpoint_files import AbsentError


def save(path: Path, value: float = 0.0, **facts: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_safetensors(path, {"x": torch.full((1,), value)}, {"method": path.stem, **facts})
    return path


def files_of(name: str, *given: Path) -> tuple[Path, ...]:
    config = load_config("synthetic", command_line={"checkpoints": {name: [str(file) for file in given]}})
    return checkpoint_files(config, name, "faces")


def test_a_trained_file_finds_its_parts_where_the_training_left_them(tmp_path: Path) -> None:
    encoder = save(tmp_path / "world/psp/psp.safetensors", parts=["generator.safetensors"])
    generator = save(tmp_path / "world/generator/generator.safetensors")
    assert files_of("psp", encoder) == (encoder, generator)
    beside = save(encoder.with_name("generator.safetensors"))
    assert files_of("psp", encoder) == (encoder, beside)
    assert files_of("psp", encoder, generator) == (encoder, generator)


def test_without_any_beside_it_the_shipped_part_serves(tmp_path: Path) -> None:
    encoder = save(tmp_path / "psp.safetensors", parts=["generator.safetensors"])
    assert files_of("psp", encoder)[1] == WEIGHTS / "generator.safetensors"


def test_a_part_must_be_the_one_that_it_was_trained_on(tmp_path: Path) -> None:
    generator = save(tmp_path / "world/generator/generator.safetensors", 1.0)
    save(tmp_path / "world/psp/generator.safetensors", 2.0)
    made = {"inputs": {generator.name: file_digest(generator)}}
    encoder = save(tmp_path / "world/psp/psp.safetensors", parts=[generator.name], made=made)
    assert files_of("psp", encoder) == (encoder, generator)
    generator.unlink()
    with pytest.raises(AbsentError, match=r"generator\.safetensors, a part of .* is another than that it was trained"):
        files_of("psp", encoder)


def test_a_part_that_is_nowhere_is_named(tmp_path: Path) -> None:
    file = save(tmp_path / "psp+styleres.safetensors", parts=["mine.safetensors"])
    with pytest.raises(AbsentError, match=r"mine\.safetensors, a part of .*, is not here") as caught:
        files_of("psp+styleres", file)
    assert "beside psp+styleres.safetensors" in caught.value.next_step


def test_a_residual_method_on_e4e_has_two_names_and_one_file() -> None:
    assert files_of("e4e+warpres") == files_of("warpres")
    assert files_of("e4e+styleres") == files_of("styleres")


def test_a_method_without_weights_names_its_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(kinds(), "synthetic", replace(kind_of("synthetic"), weights=tmp_path))
    with pytest.raises(AbsentError, match="no checkpoint of psp for the synthetic world") as caught:
        files_of("psp")
    assert "python -m methods.training world --only psp)" in caught.value.next_step
    assert "--checkpoint psp=training-runs/world/psp/psp.safetensors" in caught.value.next_step
    with pytest.raises(AbsentError) as caught:
        files_of("styleres+flow")
    assert "--checkpoint styleres+flow=FILE" in caught.value.next_step
    assert "methods.training" not in caught.value.next_step
