"""A made-up run with plausible numbers and drawn images, for the report tests."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.sealed import write_sealed
from bench.results.row import Row
from bench.results.wholeness import Results
from metrics.summary import Cell as FakeCell
from reports.facts import gather_facts
from reports.inputs import Facts

PROTOCOL = "synthetic-2"
METHODS = ("e4e", "styleres", "warpres")
TITLES = {"e4e": "e4e", "styleres": "StyleRes", "warpres": "WarpRes"}
PASSES = ("reconstruction", "smile+", "smile-", "pose+", "pose-")
IMAGES = ("00012", "00047")
_QUALITY = {"e4e": 0.0, "styleres": 0.7, "warpres": 1.0}


@dataclass(frozen=True)
class FakePass:
    pass_name: str
    strength: float
    inputs: str = "all"
    reals: str = "all"


def passes() -> list[FakePass]:
    strengths = {"smile+": 3.0, "smile-": -3.0, "pose+": 3.0, "pose-": -3.0}
    return [FakePass(column, strengths.get(column, 0.0)) for column in PASSES]


def _near(value: float, spread: float, n: int, name: str, failed: int = 0) -> FakeCell:
    shift = np.random.default_rng(zlib.crc32(name.encode())).normal() * spread / 6
    return FakeCell(value + shift, value + shift - spread, value + shift + 1.1 * spread, n - failed, failed)


def summaries(protocol: str = PROTOCOL) -> dict[tuple[str, str], dict[str, FakeCell]]:
    """Numbers that look like a run of 240 images, half of them smiling."""
    found: dict[tuple[str, str], dict[str, FakeCell]] = {}
    for method in METHODS:
        for column in PASSES:
            found[method, column] = _method_cells(method, column, protocol)
    for column in PASSES:
        n = 240 if column == "reconstruction" or column.startswith("pose") else 120
        floor = FakeCell(6.2 if n == 120 else 3.1, 5.6 if n == 120 else 2.7, 7.0 if n == 120 else 3.6, n)
        found["real", column] = {f"fd@{protocol}": floor}
        if column != "reconstruction":
            found["real", column][f"asked_lpips@{protocol}"] = FakeCell(0.21, 0.20, 0.22, n)
    return found


def _method_cells(method: str, column: str, protocol: str) -> dict[str, FakeCell]:
    good = _QUALITY[method]
    n = 240 if column == "reconstruction" or column.startswith("pose") else 120
    cells = {
        "fd": _near(41.0 - 30.0 * good, 1.6, n, method + column + "fd"),
        "id": _near(0.42 + 0.34 * good, 0.012, n, method + column + "id", failed=2 if method == "e4e" else 0),
    }
    if column == "reconstruction":
        cells |= {
            "ssim": _near(0.71 + 0.2 * good, 0.004, n, method + "ssim"),
            "lpips": _near(0.21 - 0.13 * good, 0.004, n, method + "lpips"),
        }
    else:
        sign = 1.0 if column.endswith("+") else -1.0
        cells |= {
            "share": _near(1.0 - 0.2 * good, 0.04, n, method + column + "share"),
            "asked_id": _near(0.42 + 0.34 * good, 0.012, n, method + column + "aid"),
            "asked_psnr": _near(19.0 + 5.0 * good, 0.3, n, method + column + "psnr"),
            "asked_lpips": _near(0.24 - 0.15 * good, 0.005, n, method + column + "tlpips"),
            "truth_ssim": _near(0.62 + 0.21 * good, 0.008, n, method + column + "tssim"),
            "achieved": _near(sign * (1.1 - 0.2 * good), 0.05, n, method + column + "achieved"),
        }
        if method == "warpres":
            cells |= {
                "flow_epe_moving": _near(0.82, 0.06, n, column + "epe"),
                "flow_slope": _near(0.91, 0.06, n, column + "slope"),
            }
    return {f"{stem}@{protocol}": cell for stem, cell in cells.items()}


def manifest(**more: Any) -> dict[str, Any]:
    return {
        "run": "demo run",
        "command": ["python", "run_bench.py", "--methods", "warpres,styleres", "--edits", "smile,pose"],
        "preset": "synthetic",
        "seed": 0,
        "versions": {"python": "3.11.9", "torch": "2.14.1", "warpres-bench": "0.1.0"},
        "methods": {name: {"digest": "0f" * 32, "title": TITLES[name]} for name in METHODS},
        "protocols": {PROTOCOL: {"digest": "ab" * 32}},
        **more,
    }


def results(run: Path, manifest: dict[str, Any], rows: Sequence[Row] = ()) -> Results:
    """A run's results, of which a plan says nothing."""
    return Results(run, manifest, rows, (), {}, {})


def facts(**more: Any) -> Facts:
    """What tables read of that manifest, with the words of the protocols that tests use."""
    known = {name: {} for name in (PROTOCOL, "paper-1", "standard-1")}
    return gather_facts(manifest(**{"protocols": known, **more}))


def write_run(run: Path) -> Path:
    """A run folder with images of three drawn faces, flows and a timing file."""
    for seed, stem in enumerate(IMAGES):
        _save(run, "real", "original", stem, draw_face(seed))
        for column in PASSES:
            smile = {"smile+": 1.0, "smile-": -1.0}.get(column, 0.2)
            yaw = {"pose+": 9.0, "pose-": -9.0}.get(column, 0.0)
            true = draw_face(seed, yaw, smile)
            for method in METHODS:
                _save(run, method, column, stem, _worse(true, 1.0 - _QUALITY[method], seed))
            if column != "reconstruction":
                _save(run, "truth", column, stem, true)
                for method, noise in (("warpres", 0.15), ("truth", 0.0)):
                    folder = run / "pictures" / method / column
                    np.save(folder / f"{stem}.flow.npy", _flow(yaw, smile, noise))
    stages = {"encode": 0.041, "flow": 0.012, "refine": 0.006, "synthesise": 0.024}
    timing = {"device": "2 CPU cores", "methods": {name: {"median": 0.083, "stages": stages} for name in METHODS}}
    write_sealed(run / "timing.json", timing)
    write_sealed(run / "manifest.json", manifest())
    return run


def draw_face(seed: int, yaw: float = 0.0, smile: float = 0.2, size: int = 64) -> np.ndarray:
    """A small face as uint8 (size, size, 3): enough to see whether a grid puts things in the right place."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    back, skin, hair = rng.uniform(60, 200, 3), rng.uniform((150, 100, 70), (240, 190, 160)), rng.uniform(10, 120, 3)
    image = np.ones((size, size, 3)) * back + 15 * np.sin(x / (3 + seed))[..., None]
    layers = [
        ((x - 32) ** 2 / 24**2 + (y - 29) ** 2 / 27**2 < 1, hair),
        ((x - 32) ** 2 / 19**2 + (y - 35) ** 2 / 24**2 < 1, skin),
    ]
    for side in (-1, 1):
        layers.append((((x - 32 - yaw - 8 * side) ** 2 + (y - 31) ** 2) < 7, np.array((20.0, 20.0, 40.0))))
    mouth_y = 47 - smile * ((x - 32 - yaw) ** 2 / 22 - 1.5)
    layers.append(((np.abs(y - mouth_y) < 1.6) & (np.abs(x - 32 - yaw) < 9), np.array((170.0, 40.0, 50.0))))
    if seed % 2 == 0:
        for side in (-1, 1):
            ring = np.abs(np.hypot(x - 32 - yaw - 8 * side, y - 31) - 6) < 1
            layers.append((ring, np.array((15.0, 15.0, 15.0))))
    for mask, colour in layers:
        image = np.where(mask[..., None], colour, image)
    return image.clip(0, 255).astype(np.uint8)


def _worse(image: np.ndarray, amount: float, seed: int) -> np.ndarray:
    small = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.BOX).resize((64, 64)), np.float64)
    noise = np.random.default_rng(seed).normal(0, 6 * amount, image.shape)
    return (image * (1 - 0.7 * amount) + small * 0.7 * amount + noise).clip(0, 255).astype(np.uint8)


def _flow(yaw: float, smile: float, noise: float, cells: int = 16) -> np.ndarray:
    y, x = np.mgrid[0:cells, 0:cells].astype(np.float64)
    head = np.clip(1.2 - ((x - 8) ** 2 + (y - 9) ** 2) / 36, 0, 1)
    mouth = np.exp(-((x - 8) ** 2 + (y - 12) ** 2) / 6)
    flow = np.stack([-yaw / 4 * head, (smile - 0.2) * mouth * (np.abs(x - 8) - 1.5) * 0.5])
    return (flow + np.random.default_rng(0).normal(0, noise, flow.shape)).astype(np.float32)


def _save(run: Path, method: str, column: str, stem: str, pixels: np.ndarray) -> None:
    folder = run / "pictures" / method / column
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{stem}.png")
