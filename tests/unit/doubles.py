"""Small stand-ins for data, methods and judges, quick enough to be killed and resumed many times.

python -m tests.unit.doubles RUN_FOLDER PICTURES [DELAY]     runs them into a folder, one process as one shard
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.contract import Direction, EditPass, ImageRecord, Inversion, announce, stage
from bench.core.errors import ImageError, MissingError
from bench.core.evaluator import Scored
from bench.plan.work import MethodSpec, Work
from bench.results.reading import read_rows
from bench.results.store import ShardWriter
from bench.run.engine import Engine
from bench.run.known import Known
from bench.run.sample_images import SampleImages
from bench.run.shard import from_environment
from metrics.images import finite

SIZE = 16


class FewImages:
    """Random 16-px images, half of them "Smiling"; those named in `broken` cannot be read."""

    name = "few"
    domain = "faces"
    counted = True

    def __init__(self, count: int, broken: Sequence[int] = ()) -> None:
        self.broken = {f"{i}.png" for i in broken}
        self.images = [
            ImageRecord(f"{i}.png", hashlib.sha256(str(i).encode()).hexdigest(), {"Smiling": 1 if i % 2 else -1})
            for i in range(count)
        ]
        self.reads: list[str] = []

    def read(self, image: ImageRecord) -> np.ndarray:
        self.reads.append(image.name)
        if image.name in self.broken:
            raise ImageError(f"{image.name}: is empty (0 bytes)")
        return np.random.default_rng(int(image.digest[:8], 16)).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)


class PoolingMethod:
    """Codes are average-pooled pixels; an edit shifts them. Batches are mixed on purpose where `leaky` is set."""

    domain = "faces"
    input_size = output_size = (SIZE, SIZE)
    latent_rows = 3
    stages = ("encode", "synthesise")

    def __init__(self, name: str = "pool", scale: float = 1.0, delay: float = 0.0, fails: str = "") -> None:
        self.name, self.scale, self.delay, self.fails = name, scale, delay, fails
        self.inverted, self.edited = 0, 0

    def invert(self, images: Tensor) -> Inversion:
        self.inverted += 1
        with stage("encode"):
            if self.fails == "invert" and images[:, 0, 0, 0].max() > 0.9:
                raise RuntimeError("this picture is too bright")
            return Inversion(F.adaptive_avg_pool2d(images, (4, 4)).flatten(2))

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        self.edited += 1
        time.sleep(self.delay)
        with stage("synthesise"):
            codes = inversion.codes if delta is None else inversion.codes + delta
            announce("flow", codes[:, :2].reshape(len(codes), 2, 4, 4))
            images = self.scale * F.interpolate(codes.reshape(len(codes), 3, 4, 4), (SIZE, SIZE), mode="bilinear")
            if self.fails == "nan":
                images = torch.where(images[:, :1, :1, :1] > 0.2, torch.nan, images)
            return images


class MeanEvaluator:
    """Mean squared error as "mse", mean colour as features "fd"; "id" fails on dark images."""

    pair_metrics = ("mse", "id")
    set_metrics = feature_metrics = planned_features = ("fd",)
    domain, rules_digest = "faces", "rules"
    missing: dict[str, MissingError] = {}  # noqa: RUF012

    def __init__(
        self, protocol: str = "fake-1", fails: bool = False, lossy: bool = False, source: str = "original"
    ) -> None:
        self.protocol, self.fails, self.lossy, self.input_source = protocol, fails, lossy, source
        self.digest = hashlib.sha256(protocol.encode()).hexdigest()
        # Another protocol shares no column, unless a test says so.
        self.column_digests = {
            metric: f"{metric} of {protocol}" for metric in (*self.pair_metrics, *self.feature_metrics)
        }
        self.described = 0
        self.metrics: Collection[str] = frozenset(self.column_digests)
        self.measured: list[str] = []

    def only(self, metrics: Collection[str]) -> MeanEvaluator:
        """The same, measuring these alone; `measured` is shared with it."""
        narrowed = copy.copy(self)
        narrowed.metrics = frozenset(metrics)
        narrowed.pair_metrics = tuple(name for name in self.pair_metrics if name in metrics)  # type: ignore[assignment]
        return narrowed

    def store(self, pixels: np.ndarray) -> np.ndarray:
        """As they are, or where it is lossy without the lower four bits."""
        return self.compress(self.store_lossless(pixels))

    def store_lossless(self, pixels: np.ndarray) -> np.ndarray:
        return pixels

    def compress(self, lossless: np.ndarray) -> np.ndarray:
        return lossless & 0xF0 if self.lossy else lossless

    def to_uint8(self, images: Tensor) -> np.ndarray:
        if not all(finite(images)):
            raise ImageError("the output has NaN or infinite values")
        return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()

    def extract(self, stored: Sequence[np.ndarray]) -> Sequence[Any]:
        self.described += len(stored)
        batch = torch.from_numpy(np.stack(stored)).float() / 255
        return list(batch)

    def compare(self, generated: Sequence[Tensor], original: Sequence[Tensor]) -> Sequence[Scored]:
        return [self._scored(one, other) for one, other in zip(generated, original, strict=True)]

    def _scored(self, generated: Tensor, original: Tensor) -> Scored:
        values = {"mse": float((generated - original).square().mean()), "id": float((generated * original).mean())}
        failures = {}
        if generated.mean() < 0.5:
            del values["id"]
            failures["id"] = "no face found in the generated image"
        features = {"fd": generated.mean((0, 1)).numpy()}
        self.measured += self.metrics
        return Scored(
            *({name: found[name] for name in found if name in self.metrics} for found in (values, features, failures))
        )


def direction(name: str) -> Direction:
    generator = torch.Generator().manual_seed(len(name))
    vector = torch.randn(3, 16, generator=generator) * 0.1
    return Direction(name, "add", vector, hashlib.sha256(name.encode()).hexdigest())


def passes() -> tuple[EditPass, ...]:
    smile, pose = direction("smile"), direction("pose")
    return (
        EditPass("reconstruction", None, 0.0),
        EditPass("smile+", smile, 3.0, "Smiling=-1", "Smiling=1"),
        EditPass("smile-", smile, -3.0, "Smiling=1", "Smiling=-1"),
        EditPass("pose+", pose, 3.0),
        EditPass("pose-", pose, -3.0),
    )


def spec(method: PoolingMethod) -> MethodSpec:
    return MethodSpec(method.name, hashlib.sha256(method.name.encode()).hexdigest(), passes(), lambda: method)


def make_work(dataset: FewImages, methods: Sequence[PoolingMethod], limit: int | None = None, **changes: Any) -> Work:
    evaluators = changes.pop("evaluators", (MeanEvaluator(),))
    return Work(
        dataset=dataset,  # type: ignore[arg-type]
        images=tuple(dataset.images[:limit]),
        specs=tuple(spec(method) for method in methods),
        evaluators=evaluators,
        **{"group": 4, "batch": 8, "grid_pictures": 2, **changes},
    )


def run_work(work: Work, folder: Path, environment: dict[str, str] | None = None, known: Known | None = None) -> Engine:
    """Run what is missing of a work into a folder, as the `run` command does."""
    shard = from_environment(environment or {})
    with ShardWriter(folder, shard.name) as writer:
        done = {row.key for row in read_rows(folder) if row.final}
        samples = SampleImages(folder, work.images, work.grid_pictures, work.observers)
        engine = Engine(work, writer, done, shard, samples, lambda count, what: None, known)
        engine.run()
    return engine


def fingerprint(folder: Path) -> str:
    """SHA-256 over all rows and their features in table order: equal exactly when every byte that counts is."""
    from bench.results.features import load_features

    whole = hashlib.sha256()
    for row in read_rows(folder):
        record = {metric: load_features(folder, [row], metric).tobytes().hex() for metric in sorted(row.features)}
        plain = (row.key, row.status, row.reason, sorted(row.values.items()), sorted(row.failures.items()), record)
        whole.update(repr(plain).encode())
    return whole.hexdigest()
