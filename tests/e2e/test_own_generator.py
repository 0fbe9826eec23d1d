"""A generator of one's own at 32 px: images, the generator given, e4e, StyleRes and WarpRes on it, an edit, a table."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import main as bench
from bench.core.checkpoint import read_checkpoint, write_safetensors
from methods.nets.configs import to_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.training.__main__ import main as train
from methods.training.world import prefixed

GENERATOR = GeneratorConfig(size=32, style_dim=32, mapping_layers=2, channels={4: 32, 8: 32, 16: 24, 32: 16})


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def make_generator_and_images(folder: Path, count: int = 96) -> None:
    """A generator that nobody trained, and images of its own with a mark on each, which no code can hold."""
    torch.manual_seed(3)
    generator = Generator(GENERATOR).eval()
    tensors = {**prefixed({"decoder.": generator}), "latent_avg": generator.mean_latent(500)}
    config = {"generator": to_dict(GENERATOR)}
    write_safetensors(
        folder / "mine.safetensors", tensors, {"method": "generator", "domain": "faces", "config": config}
    )
    w = generator.mapping(torch.randn(count, 32))
    pixels = ((generator(generator.broadcast(w)).clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).numpy()
    place = np.random.default_rng(0).integers(4, 22, (count, 2))
    (folder / "images").mkdir()
    for index, (row, column) in enumerate(place):
        pixels[index, row : row + 6, column : column + 6] = 255 * (index % 2)
        Image.fromarray(pixels[index]).save(folder / "images" / f"{index:03}.png")


@pytest.mark.slow
def test_from_a_generator_and_images_to_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_generator_and_images(tmp_path)
    quick = ["--data", "images", "--set", "rate=1e-3", "--set", "warm_up=5", "--device", "cpu"]
    small = ["--set", "generator=mine.safetensors", "--set", "backbone=small", "--set", "steps=120", "--set", "batch=8"]
    assert train(["own/e4e", *quick, *small]) == 0
    for name, steps in (("styleres", 30), ("warpres", 80)):
        assert train([f"own/{name}", *quick, "--set", f"steps={steps}", "--set", "batch=4", "--set", "width=24"]) == 0
    runs = Path("training-runs/own")
    held_out = read_checkpoint(runs / "e4e/e4e.safetensors")["metadata"]["held_out"]
    assert held_out["psnr"] > held_out["psnr_of_average"] + 1

    words = ["edits", "fit", "--generator", "mine.safetensors", "--kind", "pca", "--samples", "200"]
    assert bench([*words, "--components", "2", "--output", "ways.safetensors"]) == 0
    files = [f"--checkpoint={name}={runs / name / name}.safetensors" for name in ("e4e", "styleres", "warpres")]
    edit = ["--card", "ways_0.toml", "--edits", "ways_0"]
    assert bench(["--preset", "own", "--data", "images", "--limit", "12", "--name", "mine", *files, *edit]) == 0
    with Path("runs/mine/tables/long@standard-1.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "psnr"]
    scores = {row["method"]: float(row["value"]) for row in rows if row["pass"] == "reconstruction"}
    # The marks come back through the residual features alone.
    assert scores["styleres"] > scores["e4e"] + 0.3, json.dumps(scores)
    assert scores["warpres"] > scores["e4e"], json.dumps(scores)
