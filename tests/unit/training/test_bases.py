"""Residual methods on every base encoder: training sees what the method sees, and its file loads beside its base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.checkpoint import read_checkpoint
from bench.world.networks import WEIGHTS
from methods import load_method
from methods.styletransformer.network import queries
from methods.training.bases import load_base_encoder, parts_of
from methods.training.edit_figures import EditFigures
from methods.training.recipe import load_recipe
from methods.training.task import Context
from methods.training.tasks import encoder, residual, styletransformer
from methods.training.world import find, load_generator

NAMES = ("psp+styleres", "psp+warpres", "styletransformer+styleres", "styletransformer+warpres")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with untrained pSp and StyleTransformer."""
    folder = tmp_path_factory.mktemp("runs")
    for name, module in (("psp", encoder), ("styletransformer", styletransformer)):
        task: Any = module.build(replace(load_recipe(f"world/{name}"), batch=2), Context(folder))
        task.check = dict
        (folder / "world" / name).mkdir(parents=True)
        task.export(folder / "world" / name / f"{name}.safetensors", {})
    return folder


@pytest.fixture(scope="module")
def figures() -> EditFigures:
    return EditFigures(count=2)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_runs_and_its_file_loads_beside_the_base(
    name: str, runs: Path, figures: EditFigures, tmp_path: Path
) -> None:
    flow = ["flow_start='teacher.safetensors'"] if "warpres" in name else []
    recipe = load_recipe(f"world/{name}", ["start=''", *flow])
    task: Any = residual.build(replace(recipe, batch=4), Context(runs))
    task._figures = figures
    shown = task.step(0, torch.Generator().manual_seed(0))
    assert all(bool(torch.isfinite(value)) for value in shown.values())
    path = tmp_path / f"{name}.safetensors"
    task.export(path, {})
    metadata = read_checkpoint(path)["metadata"]
    assert (metadata["method"], metadata["base"]) == (name, name.split("+")[0])
    method = load_method(name, checkpoint=[path, *(find(part, runs) for part in metadata["parts"])])
    inversion = method.invert(figures.images)
    task.model.eval()
    render = task._invert(figures.images)
    # Stored as float16: equal but for that rounding.
    torch.testing.assert_close(method.edit(inversion), render(None), atol=0.03, rtol=0.03)


def test_styletransformers_mapping_is_its_own() -> None:
    method: Any = load_method("styletransformer", checkpoint=[WEIGHTS / part for part in parts_of("styletransformer")])
    tokens, shared = method.encoder.tokens.z, load_generator(Path())[0]
    assert not torch.allclose(queries(tokens, shared.mapping), queries(tokens, method.generator.mapping))


def test_styletransformers_queries_are_those_of_the_method(runs: Path) -> None:
    encoder = load_base_encoder("styletransformer", runs)
    method: Any = load_method(
        "styletransformer", checkpoint=[find(part, runs) for part in parts_of("styletransformer")]
    )
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    codes, taps = encoder.encode(images)
    torch.testing.assert_close(codes + method.latent_avg, method.invert(images).codes)
    assert taps[0].shape == (2, 32, 32, 32)
    assert parts_of("styletransformer") == ["generator.safetensors", "styletransformer.safetensors"]
