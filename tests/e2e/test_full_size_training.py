"""A full-size training from the command line to the paper's table, with filled weights and two photographs.

WARPRES_BENCH_FULL_SIZE_TRAINING=1 runs it: 24 steps at 1024 px (half an hour on one core, 7 GB) and 5 at 512 px.
`tests/unit/training/test_full_size.py` has the same at 64 px.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.cli import main as bench
from bench.timing.clock import peak_memory, reset_peak_memory
from bench.weights import registry
from methods.registry import load_method
from methods.training.__main__ import main as training
from methods.training.checkpoints import load_checkpoint
from methods.training.full_size.passes import Edit
from methods.training.recipe import load_recipe
from methods.training.task import Context
from methods.training.tasks.full_size import FullSizeTask, build
from tests.benchmarks.full_size_training import draw_images, write_files
from tests.e2e.test_paper_tables import NETWORKS, SHARED, _cells, _config, _directions
from tests.unit.metrics.reference import write_networks

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parity,
    pytest.mark.skipif(
        os.environ.get("WARPRES_BENCH_FULL_SIZE_TRAINING") != "1",
        reason="WARPRES_BENCH_FULL_SIZE_TRAINING=1 trains at 1024 px: half an hour",
    ),
]
MEMORY = 12e9


def photographs(domain: str, folder: Path) -> Path:
    """Two photographs of `../shared`, or two drawn images where they are not here."""
    found = SHARED / ("celebahq/CelebA-HQ-img" if domain == "faces" else "cars")
    if not found.is_dir():
        return draw_images(folder, 2)
    folder.mkdir()
    for path in sorted(found.glob("*.jpg"))[:2]:
        (folder / path.name).symlink_to(path)
    return folder


def words(name: str, home: Path, steps: int, *changes: str) -> list[str]:
    """Words of a training of `steps` steps on the two photographs, one a step."""
    given = [f"steps={steps}", "batch=1", "halve_at=[]", "held_out=0", *changes]
    sets = [word for change in given for word in ("--set", change)]
    return [name, "--data", str(home / "images"), "--device", "cpu", *sets]


def error_of(task: FullSizeTask) -> float:
    """Mean square error of the reconstruction over the training images."""
    passes, total = task._passes_in_eval(), 0.0
    names = task.images.names
    with torch.no_grad():
        for name in names:
            real = torch.from_numpy(task.images._decoded(name)).permute(2, 0, 1)[None].float() / 127.5 - 1
            codes, features = passes.encode(real)
            plain = Edit(torch.zeros_like(codes), torch.zeros(1, dtype=torch.bool))
            total += float((passes.first(codes, features, plain).image - real).square().mean())
    return total / len(names)


def test_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path))
    changes = ("adapter_warm_up=1", "flow_norm_steps=1")
    steps, recipe = 21, load_recipe("faces/warpres")
    write_files(recipe, tmp_path)
    data = photographs("faces", tmp_path / "images")
    training_words = words("faces/warpres", tmp_path, steps, *changes)
    reset_peak_memory("cpu")

    # Killed and resumed, it stands where it would have stood.
    for out, stops in (("whole", (3,)), ("cut", (2, 3))):
        for until in stops:
            assert training([*training_words, "--out", str(tmp_path / out), "--until", str(until)]) == 0
    whole, cut = (load_checkpoint(tmp_path / out / "faces/warpres") for out in ("whole", "cut"))
    assert whole is not None and cut is not None and whole["step"] == cut["step"] == 3
    for name, tensors in whole["modules"].items():
        assert all(torch.equal(value, cut["modules"][name][key]) for key, value in tensors.items()), name
    del whole, cut

    chosen = load_recipe("faces/warpres", [word for word in training_words if "=" in word])
    torch.manual_seed(chosen.seed)
    before = error_of(build(chosen, Context(tmp_path, data=data)))
    assert training([*training_words, "--out", str(tmp_path / "cut")]) == 0
    peak = peak_memory("cpu") or 0
    assert peak <= MEMORY
    log = [json.loads(line) for line in (tmp_path / "cut/faces/warpres/log.jsonl").read_text().splitlines()]
    assert all(torch.isfinite(torch.tensor(value)) for row in log for value in row.get("losses", {}).values())
    made = tmp_path / "cut/faces/warpres/warpres.safetensors"
    state = load_checkpoint(tmp_path / "cut/faces/warpres")
    assert state is not None
    task = build(chosen, Context(tmp_path, data=data))
    task.model.load_state_dict(state["modules"]["model"])
    after = error_of(task)
    print(f"peak {peak / 1e9:.1f} GB, L2 {before:.4f} -> {after:.4f}")
    assert after <= 0.7 * before
    _is_the_method(task, registry.locate("e4e-faces"), made)
    del task, state
    _fills_its_row(made, tmp_path)


def _is_the_method(task: FullSizeTask, encoder: Path, made: Path) -> None:
    """`load_method` of [e4e, ours] gives the trainer's images, of a reconstruction and of an edit."""
    method = load_method("warpres", checkpoint=[encoder, made])
    real = _real(task)
    inversion, passes = method.invert(real), task._passes_in_eval()
    with torch.no_grad():
        codes, features = passes.encode(real)
        for delta in (
            torch.zeros_like(codes),
            0.3 * torch.randn(codes.shape, generator=torch.Generator().manual_seed(0)),
        ):
            expected = passes.first(codes, features, Edit(delta, torch.ones(1) > 0)).rendered.image
            torch.testing.assert_close(method.edit(inversion, delta[0]), expected, rtol=0, atol=1e-4)


def _real(task: FullSizeTask) -> Tensor:
    pixels = torch.from_numpy(task.images._decoded(task.images.names[0])).permute(2, 0, 1)[None]
    return F.adaptive_avg_pool2d(pixels.float() / 127.5 - 1, task.passes.canvas.input_size)


def _fills_its_row(made: Path, home: Path) -> None:
    """`--preset paper-faces --checkpoint warpres=OURS`: the base encoder is found through the registry."""
    (home / "filled").mkdir()
    write: Any = write_networks(home / "filled")
    for name in NETWORKS:
        item, source = registry.entry(name), write(name)
        target = home / "weights" / name
        target.mkdir(parents=True)
        for file in sorted(source.iterdir()) if source.is_dir() else [source]:
            (target / (file.name if source.is_dir() else item.file)).symlink_to(file)
    shared = SHARED / "celebahq"
    directions = SHARED / "directions" if shared.is_dir() else _directions(home)
    data = shared if shared.is_dir() else home / "images"
    code = bench([
        "--preset", "paper-faces", "--data", str(data), "--split", "all", "--limit", "2", "--methods", "warpres",
        "--directions", str(directions), "--edits", "smile", "--config", str(_config(home)),
        "--checkpoint", f"warpres={made}", "--output", str(home / "runs"), "--name", "row",
    ])  # fmt: skip
    assert code == 0
    cells = _cells(home / "runs/row/tables/table2@paper-1.csv")
    assert float(cells["warpres", "reconstruction:lpips"][""]) > 0
    assert cells["warpres", "reconstruction:fid"]["n"] == "2"


def test_cars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path))
    recipe = load_recipe("cars/warpres")
    write_files(recipe, tmp_path)
    photographs("cars", tmp_path / "images")
    assert training([*words("cars/warpres", tmp_path, 5, "adapter_warm_up=0"), "--out", str(tmp_path / "out")]) == 0
    folder = tmp_path / "out/cars/warpres"
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    found = {name: value for row in rows for name, value in row.get("losses", {}).items()}
    assert {"adversarial", "regulariser", "flow", "cycle_identity", "discriminator", "r1"} <= found.keys()
    assert all(torch.isfinite(torch.tensor(value)) for value in found.values())
    method = load_method(
        "warpres", domain="cars", checkpoint=[registry.locate("e4e-cars"), folder / "warpres.safetensors"]
    )
    image = method.edit(method.invert(torch.zeros(1, 3, 192, 256)))
    assert image.shape == (1, 3, 384, 512)
    assert torch.isfinite(image).all()
