"""A small data set, a protocol without networks, a direction and two checkpoints: all a run needs, made in a second."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import main

ROOT = Path(__file__).parents[2]
PROTOCOL = """
name = "plain-1"
title = "Pixels only"
[pictures]
input = "original"
resize = "pil_bicubic"
faces = [64, 64]
cars = [48, 64]
storage = "jpeg"
jpeg_quality = 75
uint8 = "round"
[failures]
rule = "skip"
[numbers]
resamples = 200
[[columns]]
stem = "psnr"
title = "PSNR"
better = "higher"
kind = "psnr"
what = "Peak signal-to-noise ratio."
[[columns]]
stem = "ssim"
title = "SSIM"
better = "higher"
kind = "ssim"
window = "gaussian"
what = "Structural similarity."
"""


@dataclass(frozen=True)
class Desk:
    """A folder with everything on it, and `bench(...)` to run the command line there."""

    folder: Path

    @property
    def basics(self) -> list[str]:
        """Options that every run here needs."""
        return [
            "--preset", "paper-faces", "--config", str(self.folder / "config.toml"), "--edits", "smile,pose",
            "--data", str(self.folder / "faces"), "--directions", str(self.folder),
            "--plugin", str(ROOT / "tests/e2e/plugin.py"),
            "--checkpoint", f"blocks={self.folder / 'bright.pt'}", "--output", str(self.folder / "runs"),
        ]  # fmt: skip

    def command(self, *words: str) -> list[str]:
        return [sys.executable, str(ROOT / "run_bench.py"), *words]

    def bench(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), cwd=self.folder, env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def here(self, *words: str) -> int:
        """The same in this process, for what needs no process of its own; output goes to capsys."""
        return main(words)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_plots: None) -> Desk:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return lay_desk(tmp_path)


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports of this process come without plots, whose drawing is most of a small run's time."""
    monkeypatch.setattr("reports.figures.plots.draw_all", lambda *_: [])


def lay_desk(where: Path) -> Desk:
    """Put everything on a desk in this folder."""
    folder = where / "räum 1"
    faces = folder / "faces"
    faces.mkdir(parents=True)
    for index in range(10):
        coarse = np.random.default_rng(index).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(faces / f"{index}.png")
    for name, gain in (("bright", 1.0), ("dull", 0.6)):
        torch.save({"state_dict": {"gain": torch.tensor(gain)}}, folder / f"{name}.pt")
    direction = torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
    torch.save(direction / direction.norm(), folder / "smile.pt")
    torch.save((direction.flip(1) / direction.norm())[None].expand(1, 18, 512).clone(), folder / "pose.pt")
    (folder / "plain-1.toml").write_text(PROTOCOL)
    (folder / "config.toml").write_text(
        f"methods = ['blocks']\nprotocols = ['{folder / 'plain-1.toml'}']\n[data]\nname = 'folder'\nsplit = 'all'\n"
        "[run]\ngroup = 4\nbatch = 4\ngrid_pictures = 2\n"
    )
    return Desk(folder)
