"""A protocol with its networks loaded: images in, numbers out (`bench.core.evaluator.Evaluator`).

    evaluator = load_evaluator("paper-1", domain="faces", weights=registry.path, device="cpu")
    kept = [evaluator.store(pixels) for pixels in originals]         # full-size uint8 (H, W, 3)
    made = [evaluator.store(pixels) for pixels in evaluator.to_uint8(images)]
    for scored in evaluator.score(evaluator.extract(made), evaluator.extract(kept)): ...

Every network sees every stored image once, in batches; comparing what was seen in two runs none.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.checkpoint import file_digest
from bench.core.contract import Domain
from bench.core.digest import code_of
from bench.core.errors import MissingError, all_missing
from bench.core.evaluator import Features, InputSource, Scored

from . import images as image_files
from .columns import Batch, Extractor, NoFace, Pair, Resources, World
from .protocol import Column, ProtocolFile, load_protocol


@dataclass
class ProtocolEvaluator:
    """The evaluator of one protocol and domain, made by `load_evaluator`.

    Attributes as in `bench.core.evaluator.Evaluator`, and:

    Attributes:
        rules: The protocol file.
        domain: "faces" or "cars".
    """

    rules: ProtocolFile
    domain: Domain
    protocol: str
    digest: str
    networks_digest: str
    pair_metrics: tuple[str, ...]
    set_metrics: tuple[str, ...]
    feature_metrics: tuple[str, ...]
    missing: Mapping[str, MissingError]
    column_digests: Mapping[str, str]
    _pairs: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    _sets: Mapping[str, Hashable] = field(default_factory=dict, repr=False)
    _extractors: Mapping[Hashable, Extractor] = field(default_factory=dict, repr=False)
    _device: torch.device = field(default=torch.device("cpu"), repr=False)
    _batch: int = field(default=1, repr=False)

    @property
    def lossy(self) -> bool:
        """Whether images are kept as JPEG."""
        return self.rules.images.storage == "jpeg"

    @property
    def input_source(self) -> InputSource:
        """What methods are fed: the image as stored, or the original."""
        return self.rules.images.input

    @property
    def rules_digest(self) -> str:
        """Hex SHA-256 of the protocol file's meaning."""
        return self.rules.digest

    @property
    def planned_features(self) -> tuple[str, ...]:
        """Metrics with features of their own, also those whose network is not here."""
        return tuple(column.metric for column in self.rules.of(self.domain) if owns_features(column))

    def only(self, metrics: Collection[str]) -> ProtocolEvaluator:
        """The same protocol, measuring these metrics alone, with the networks of these alone."""
        pairs = {metric: pair for metric, pair in self._pairs.items() if metric in metrics}
        sets = {metric: key for metric, key in self._sets.items() if metric in metrics}
        keys = {*(pair.features for pair in pairs.values()), *sets.values()}
        return replace(
            self,
            pair_metrics=tuple(metric for metric in self.pair_metrics if metric in metrics),
            feature_metrics=tuple(metric for metric in self.feature_metrics if metric in metrics),
            _pairs=pairs,
            _sets=sets,
            _extractors={key: extractor for key, extractor in self._extractors.items() if key in keys},
        )

    def store(self, pixels: np.ndarray) -> np.ndarray:
        """A full-size uint8 (H, W, 3) image as the protocol keeps it. Raises ImageError for anything else."""
        return self.compress(self.store_lossless(pixels))

    def store_lossless(self, pixels: np.ndarray) -> np.ndarray:
        """As `store`, but never through JPEG: one side of the floor row "real JPEG against real PNG"."""
        return image_files.resized(pixels, self.rules.images.size(self.domain), self.rules.images)

    def compress(self, lossless: np.ndarray) -> np.ndarray:
        """What `store` makes of an image after `store_lossless`."""
        return image_files.compressed(lossless, self.rules.images)

    def to_uint8(self, images: Tensor) -> np.ndarray:
        """Generated float images (N, 3, H, W) as uint8 (N, H, W, 3), rounded where they are, then copied.

        Raises ImageError when one holds NaN or infinity.
        """
        return image_files.to_uint8(images, self.rules.images.uint8)

    @torch.inference_mode()
    def extract(self, stored: Sequence[np.ndarray]) -> Sequence[Features]:
        """Extractor at stored images, uint8 (h, w, 3) each, once with every network; one description each, in order."""
        found: list[dict[Hashable, Any]] = []
        for start in range(0, len(stored), self._batch):
            batch = Batch(stored[start : start + self._batch], self._device)
            pieces = {key: extract(batch) for key, extract in self._extractors.items()}
            found += [{key: piece[i] for key, piece in pieces.items()} for i in range(len(batch.pixels))]
        return found

    @torch.inference_mode()
    def compare(self, generated: Sequence[Features], original: Sequence[Features]) -> Sequence[Scored]:
        """Compare descriptions pair by pair. The order matters: MS-SSIM guesses its range from the generated image."""
        values: list[dict[str, float]] = [{} for _ in generated]
        failures: list[dict[str, str]] = [{} for _ in generated]
        for metric, pair in self._pairs.items():
            pieces = [each[pair.features] for each in generated], [each[pair.features] for each in original]
            for at, answer in enumerate(_compared(pair, *pieces)):
                if isinstance(answer, NoFace):
                    failures[at][metric] = answer.reason
                else:
                    values[at][metric] = answer
        return [Scored(values[at], self._features(each), failures[at]) for at, each in enumerate(generated)]

    def _features(self, features: Features) -> dict[str, np.ndarray]:
        return {metric: np.asarray(features[key], dtype=np.float32) for metric, key in self._sets.items()}


def _compared(pair: Pair, generated: Sequence[Any], original: Sequence[Any]) -> list[float | NoFace]:
    """One answer a pair: pieces that were refused are not compared, and what is no finite number is refused."""
    answers: list[float | NoFace] = [NoFace("")] * len(generated)
    sound = []
    for at, pieces in enumerate(zip(generated, original, strict=True)):
        refused = [
            NoFace(f"{piece.reason} in the {which} image")
            for piece, which in zip(pieces, ("generated", "original"), strict=True)
            if isinstance(piece, NoFace)
        ]
        if refused:
            answers[at] = refused[0]
        else:
            sound.append(at)
    compared = pair.compare([generated[at] for at in sound], [original[at] for at in sound]) if sound else ()
    for at, answer in zip(sound, compared, strict=True):
        odd = not isinstance(answer, NoFace) and not math.isfinite(answer)
        answers[at] = NoFace("the value is NaN or infinite") if odd else answer
    return answers


def load_evaluator(
    protocol_name: str | Path,
    *,
    domain: Domain,
    weights: Callable[[str], Path],
    device: torch.device | str,
    world: World | None = None,
    batch: int = 8,
) -> ProtocolEvaluator:
    """Load a protocol and the networks of its columns.

    Args:
        protocol_name: "paper-1", "standard-1", "synthetic-2", or a path to a file of that form.
        domain: Columns of the other domain are left out ("id" has no meaning for cars).
        weights: Path of an auxiliary network by registry name ("inception-imagenet", "inception-fid",
            "alexnet-imagenet", "vgg16-imagenet", "curricularface", "mtcnn", "insightface-buffalo_l"); raises
            MissingError where it is not there, and the columns that need it are then `missing` with that reason.
            Nothing stands in for them.
        device: Where the networks run.
        world: The synthetic world's networks, for protocols that use them.
        batch: Images looked at together.

    Raises:
        UsageError: Unknown protocol, or a file that does not parse.
        MissingError: A network's file is there but damaged, or holds another network.
    """
    rules = load_protocol(protocol_name)
    resources = Resources(domain, torch.device(device), weights, world)
    missing = _missing(rules.of(domain), resources)
    present = [column for column in rules.of(domain) if column.metric not in missing]
    return replace(
        _evaluate(rules, resources, missing),
        _pairs={column.metric: column.options.prepare(resources) for column in present if not column.is_set},
        _sets={column.metric: column.options.prepare(resources) for column in present if owns_features(column)},
        _extractors=resources.extractors,
        _device=resources.device,
        _batch=batch,
    )


def plan_evaluator(
    protocol_name: str | Path, *, domain: Domain, weights: Callable[[str], Path], world: World | None = None
) -> ProtocolEvaluator:
    """As `load_evaluator`, but without networks: it has names, digest and what is missing, and sees nothing.

    Raises:
        UsageError: Unknown protocol, or a file that does not parse.
    """
    rules = load_protocol(protocol_name)
    resources = Resources(domain, torch.device("cpu"), weights, world)
    return _evaluate(rules, resources, _missing(rules.of(domain), resources))


def _evaluate(rules: ProtocolFile, resources: Resources, missing: Mapping[str, MissingError]) -> ProtocolEvaluator:
    present = [column for column in rules.of(resources.domain) if column.metric not in missing]
    networks = _networks_digest(rules, resources)
    return ProtocolEvaluator(
        rules=rules,
        domain=resources.domain,
        protocol=rules.name,
        digest=hashlib.sha256(f"{networks} {_code(rules, resources)}".encode()).hexdigest(),
        networks_digest=networks,
        pair_metrics=tuple(column.metric for column in present if not column.is_set),
        set_metrics=tuple(column.metric for column in present if column.is_set),
        feature_metrics=tuple(column.metric for column in present if owns_features(column)),
        missing=missing,
        column_digests={
            column.metric: _column_digest(column, rules, resources)
            for column in present
            if not column.is_set or owns_features(column)
        },
    )


def owns_features(column: Column) -> bool:
    """Whether a column keeps features of its own; KID shares those of FID."""
    return column.is_set and column.options.shares() is None


def _missing(columns: Sequence[Column], resources: Resources) -> dict[str, MissingError]:
    """Why each column that cannot be measured cannot be, with every network it lacks."""
    found = {column.metric: _absent(column, resources) for column in columns}
    for column in columns:
        source = column.options.shares() if column.is_set else None
        found[column.metric] += found.get(source, []) if source else []
    return {metric: all_missing(errors) for metric, errors in found.items() if errors}


def _absent(column: Column, resources: Resources) -> list[MissingError]:
    absent = []
    for name in column.options.needs():
        try:
            resources.need_world() if name == "world" else resources.path(name)
        except MissingError as error:
            absent.append(error)
    return absent


def _networks_digest(rules: ProtocolFile, resources: Resources) -> str:
    digest = hashlib.sha256(f"{rules.digest} {resources.domain}".encode())
    for name, path in sorted(resources.used.items()):
        digest.update(f"\n{name} {_path_digest(path)}".encode())
    if _uses_world(rules, resources):
        digest.update(f"\nworld {resources.need_world().digest}".encode())
    return digest.hexdigest()


def _code(rules: ProtocolFile, resources: Resources) -> str:
    """Of this module and of the kinds of column that the protocol has, with the networks behind them."""
    kinds = {type(column.options) for column in rules.of(resources.domain)}
    world = [resources.need_world()] if _uses_world(rules, resources) else []
    return code_of(ProtocolEvaluator, *kinds, *world)


def _column_digest(column: Column, rules: ProtocolFile, resources: Resources) -> str:
    """Of all that decides what a column puts into a row: how images are kept, its options, its networks, its code."""
    about = [column.kind, asdict(column.options), asdict(rules.images), resources.domain]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode())
    world = [resources.need_world()] if "world" in column.options.needs() else []
    for name in sorted({*column.options.needs()} - {"world"}):
        digest.update(f"\n{name} {_path_digest(resources.path(name))}".encode())
    for networks in world:
        digest.update(f"\nworld {networks.digest}".encode())
    digest.update(code_of(ProtocolEvaluator, type(column.options), *world).encode())
    return digest.hexdigest()


def _uses_world(rules: ProtocolFile, resources: Resources) -> bool:
    needs = (column.options.needs() for column in rules.of(resources.domain))
    return resources.world is not None and any("world" in names for names in needs)


def _path_digest(path: Path) -> str:
    if not path.is_dir():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return " ".join(f"{file.relative_to(path).as_posix()} {file_digest(file)}" for file in files)
