"""A third domain is one table entry and its files: data, a method without weights, an edit, a protocol as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.core import modules
from bench.core.domains import domains
from bench.data import kinds
from bench.results.reading import read_rows
from methods import registry

PLUGIN = '''
import torch
from bench.core.contract import Inversion, stage
from bench.core.domains import DomainSpec
from bench.data.folder import SOURCE, listing
from bench.data.listing import Kind
from methods.nets.base import Canvas
from methods.registry import MethodEntry

DOMAINS = (DomainSpec("rooms", 32, generators={32: "rooms-32"}, aspect=(1, 2), input_width=32),)
KINDS = (Kind("folder-rooms", "rooms", ("all", "test"), SOURCE, listing),)


class Mean:
    """The mean colour of an image: no weights, no files."""

    stages = ("encode", "synthesise")
    name, domain, latent_rows = "mean-colour", "rooms", 8

    def __init__(self, domain):
        canvas = Canvas.of(domain, 32)
        self.input_size, self.output_size, self.check = canvas.input_size, canvas.output_size, canvas.check

    def invert(self, images):
        self.check(images)
        with stage("encode"):
            return Inversion(images.mean((2, 3))[:, None].repeat(1, 8, 1))

    def edit(self, inversion, delta=None):
        with stage("synthesise"):
            codes = inversion.codes if delta is None else inversion.codes + delta
            return codes[:, 0, :, None, None].expand(-1, 3, *self.output_size)


METHODS = (
    MethodEntry(
        "mean-colour", lambda entry, domain, files: Mean(domain), domains=("rooms",), files=(), title="Mean colour",
        place=3,
    ),
)
'''
CARD = """
name = "warm"
domain = "rooms"
generator = "rooms-32"
rule = "add"
origin = "made here"
licence = "ours"
sign = "+ is warmer"
strength_source = "made here"
file = "warm.npy"
dim = 3
strength = 2.0
"""
PROTOCOL = """
name = "plain-1"
title = "Pixels only"
[pictures]
input = "original"
resize = "pil_bicubic"
faces = [32, 32]
storage = "memory"
uint8 = "round"
[failures]
rule = "skip"
[numbers]
resamples = 100
[[columns]]
stem = "psnr"
title = "PSNR"
better = "higher"
kind = "psnr"
what = "Peak signal-to-noise ratio."
"""


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A folder of wide pictures and the words of a command over them."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        coarse = np.random.default_rng(seed).integers(0, 256, (16, 32, 3), dtype=np.uint8)
        Image.fromarray(coarse).save(folder / f"{seed}.png")
    (tmp_path / "rooms.py").write_text(PLUGIN)
    (tmp_path / "warm.toml").write_text(CARD)
    (tmp_path / "plain-1.toml").write_text(PROTOCOL)
    np.save(tmp_path / "warm.npy", np.array([[0.3, 0.0, -0.3]], np.float32))
    (tmp_path / "run.toml").write_text(
        f"preset = 'paper-faces'\nmethods = ['mean-colour']\nprotocols = ['{tmp_path / 'plain-1.toml'}']\n"
        "[data]\nname = 'folder-rooms'\nsplit = 'all'\n[run]\nname = 'rooms'\ngroup = 2\n"
    )
    yield [
        "--config", str(tmp_path / "run.toml"), "--data", str(folder), "--edits", "warm", "--card",
        str(tmp_path / "warm.toml"), "--plugin", str(tmp_path / "rooms.py"), "--output", str(tmp_path),
        "--device", "cpu",
    ]  # fmt: skip
    registry.entries.cache_clear()
    domains().pop("rooms", None)
    kinds().pop("folder-rooms", None)


def test_a_toy_domain_runs_and_is_reported(rooms: list[str], tmp_path: Path) -> None:
    assert main(rooms) == 0
    rows = [row for row in read_rows(tmp_path / "rooms") if row.method == "mean-colour"]
    assert {row.pass_name for row in rows} == {"reconstruction", "warm"}
    assert len(rows) == 8 and all(row.status == "ok" and "psnr" in row.values for row in rows)
    manifest = json.loads((tmp_path / "rooms" / "manifest.json").read_text())
    assert manifest["domain"] == "rooms"
    assert manifest["methods"]["mean-colour"]["title"] == "Mean colour"
    assert "Mean colour" in (tmp_path / "rooms/tables/scores@plain-1.md").read_text()


def test_a_reader_without_the_plug_in_asks_for_it_by_name(
    rooms: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.figures.plots.draw_all", lambda *_: [])
    assert main(rooms) == 0
    domains().pop("rooms")
    kinds().pop("folder-rooms")
    monkeypatch.setattr(modules, "_plugins", {})
    words, plugin = ["report", str(tmp_path / "rooms")], ["--plugin", str(tmp_path / "rooms.py")]
    capsys.readouterr()
    assert main(words) == 3
    said = capsys.readouterr().err
    assert "unknown domain 'rooms'" in said and f"the same command with {' '.join(plugin)}\n" in said
    assert main([*words, *plugin]) == 0


def test_a_method_without_weights_is_checked_and_timed(rooms: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    plugin = rooms[rooms.index("--plugin") : rooms.index("--plugin") + 2]
    assert main(["check", "mean-colour", "--domain", "rooms", *plugin]) == 0
    words = ["time", "--methods", "mean-colour", "--domain", "rooms", "--samples", "2", "--warm-up", "2", *plugin]
    assert main([*words, "--json"]) == 0
    out = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(out)["methods"]["mean-colour"]["output_size"] == [16, 32]
