"""How long a device would wait: a run whose network takes 20 ms an image at 1024 px, against those 20 ms.

    python -m tests.benchmarks.waiting [PICTURES] [PROTOCOL ...] [--png]

The network only sleeps, as a processor does while a GPU works; everything else is a run's: reading JPEG files
(CelebA-HQ is published as such; --png: as FFHQ is), resizing, rounding, JPEG, every metric that needs no network of its
own, rows on disk. Five passes an image, as the presets have. The steady ratio leaves out the first fifth of the
pictures, with which a run begins: nothing is there yet that the network could work on.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.contract import Direction, EditPass, ImageRecord, Inversion
from bench.core.cores import cores
from bench.core.errors import MissingError
from bench.plan.work import MethodSpec, Work
from bench.results.store import ShardWriter
from bench.run.engine import Engine
from bench.run.sample_images import SampleImages
from bench.run.shard import Shard
from metrics.evaluator import load_evaluator

SIDE, NETWORK = 1024, 0.020


class Photographs:
    """Smooth 1024-px images with grain, as files of a suffix."""

    name, domain, counted = "photographs", "faces", True

    def __init__(self, folder: Path, count: int, suffix: str) -> None:
        self.folder = folder
        self.images = [
            ImageRecord(f"{i}{suffix}", hashlib.sha256(str(i).encode()).hexdigest(), {}) for i in range(count)
        ]
        random = np.random.default_rng(0)
        for image in self.images:
            small = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
            pixels = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(int)
            grain = random.integers(-6, 7, pixels.shape)
            made = Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8))
            made.save(folder / image.name, compress_level=1, quality=95)

    def read(self, image: ImageRecord) -> np.ndarray:
        with Image.open(self.folder / image.name) as file:
            return np.asarray(file.convert("RGB"))


class Sleeper:
    """A network of 20 ms an image: a tenth of it to invert. It always makes the same image."""

    name, domain, latent_rows, stages = "sleeper", "faces", 18, ("encode", "synthesise")
    input_size, output_size = (256, 256), (SIDE, SIDE)

    def __init__(self) -> None:
        self.slept = 0.0
        # The clock, and the time slept, when each inversion began.
        self.moments: list[tuple[float, float]] = []
        self.made = torch.rand(1, 3, SIDE, SIDE) * 2 - 1

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(seconds)

    def invert(self, images: Tensor) -> Inversion:
        self.moments.append((time.perf_counter(), self.slept))
        self._sleep(0.1 * NETWORK * len(images))
        return Inversion(torch.zeros(len(images), 18, 512))

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        self._sleep(NETWORK * len(inversion))
        return self.made


def _nothing(name: str) -> Path:
    raise MissingError(f"{name} is not part of this")


@dataclass(frozen=True)
class Measured:
    """Seconds of the run, of its network and of all cores together; of the run and its network after the beginning."""

    run: float
    network: float
    cores: float
    steady_run: float
    steady_network: float


def measure(folder: Path, count: int, protocols: tuple[str, ...], suffix: str) -> Measured:
    """Run `count` pictures under the protocols, their files and rows in `folder`."""
    data, method = Photographs(folder, count, suffix), Sleeper()
    vector = torch.zeros(18, 512)
    edits = [
        EditPass(f"{name}{sign}", Direction(name, "add", vector, "00"), strength)
        for name in ("smile", "pose")
        for sign, strength in (("+", 3.0), ("-", -3.0))
    ]
    passes = (EditPass("reconstruction", None, 0.0), *edits)
    evaluators = [load_evaluator(name, domain="faces", weights=_nothing, device="cpu") for name in protocols]
    work = Work(
        dataset=data,  # type: ignore[arg-type]
        images=tuple(data.images),
        specs=(MethodSpec("sleeper", "00", passes, lambda: method),),  # type: ignore[arg-type,return-value]
        evaluators=tuple(evaluators),
        group=1,
        batch=32,
        grid_pictures=0,
    )
    with ShardWriter(folder / "run", "0") as writer:
        samples = SampleImages(folder / "run", work.images, 0, ())
        engine = Engine(work, writer, set(), Shard(), samples, lambda *_: None)
        began, used = time.perf_counter(), time.process_time()
        engine.run()
        ended, worked = time.perf_counter(), time.process_time() - used
    since, slept = method.moments[len(method.moments) // 5]
    return Measured(ended - began, method.slept, worked, ended - since, method.slept - slept)


def main(words: list[str]) -> None:
    torch.set_num_threads(1)
    suffix = ".png" if "--png" in words else ".jpg"
    words = [word for word in words if word != "--png"]
    count, protocols = int(words[0]) if words else 60, tuple(words[1:]) or ("paper-1", "standard-1")
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), count, protocols, suffix)
    print(f"{', '.join(protocols)}: {count} {suffix[1:].upper()} files on {len(cores())} cores")
    print(f"network         {found.network:6.2f} s")
    print(f"run             {found.run:6.2f} s   {found.run / found.network:.2f} x")
    print(f"steady          {found.steady_run:6.2f} s   {found.steady_run / found.steady_network:.2f} x")
    print(f"processor time  {1000 * found.cores / count / 5:6.1f} ms an image made")


if __name__ == "__main__":
    main(sys.argv[1:])
