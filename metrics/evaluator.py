"""A protocol with its networks loaded: images in, numbers out (`bench.core.contract.Judge`).

    judge = load_judge("paper-1", domain="faces", weights=registry.path, device="cpu")
    kept = [judge.store(pixels) for pixels in originals]         # full-size uint8 (H, W, 3)
    made = [judge.store(judge.to_uint8(image)) for image in images]
    for scored in map(judge.score, judge.describe(made), judge.describe(kept)): ...

Every network sees every stored image once, in batches; comparing two descriptions runs no network.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.checkpoint import file_digest
from bench.core.contract import Domain, Features, InputSource, Scored
from bench.core.errors import MissingError, all_missing

from . import images as pictures
from .columns import Batch, Look, NoValue, Pair, Refusal, Tools, World
from .protocol import Column, ProtocolFile, load_protocol


@dataclass
class ProtocolEvaluator:
    """The judge of one protocol and domain; made by `load_judge`. Attributes as in `bench.core.contract.Judge`, and:

    Attributes:
        rules: The protocol file.
        domain: "faces" or "cars".
    """

    rules: ProtocolFile
    domain: Domain
    protocol: str
    digest: str
    pair_metrics: tuple[str, ...]
    set_metrics: tuple[str, ...]
    feature_stems: tuple[str, ...]
    missing: Mapping[str, MissingError]
    _pairs: Mapping[str, Pair] = field(default_factory=dict, repr=False)
    _sets: Mapping[str, Hashable] = field(default_factory=dict, repr=False)
    _looks: Mapping[Hashable, Look] = field(default_factory=dict, repr=False)
    _device: torch.device = field(default=torch.device("cpu"), repr=False)
    _batch: int = field(default=1, repr=False)

    @property
    def lossy(self) -> bool:
        return self.rules.pictures.storage == "jpeg"

    @property
    def input_source(self) -> InputSource:
        return self.rules.pictures.input

    @property
    def rules_digest(self) -> str:
        return self.rules.digest

    @property
    def planned_features(self) -> tuple[str, ...]:
        return tuple(column.stem for column in self.rules.of(self.domain) if owns_features(column))

    def store(self, pixels: np.ndarray) -> np.ndarray:
        """A full-size uint8 (H, W, 3) image as the protocol keeps it. Raises ImageError for anything else."""
        return pictures.store(pixels, self.rules.pictures.size(self.domain), self.rules.pictures)

    def store_lossless(self, pixels: np.ndarray) -> np.ndarray:
        """As `store`, but never through JPEG: one side of the floor row "real JPEG against real PNG"."""
        return pictures.resized(pixels, self.rules.pictures.size(self.domain), self.rules.pictures)

    def to_uint8(self, image: Tensor) -> np.ndarray:
        """A generated float (3, H, W) image as uint8 (H, W, 3). Raises ImageError when it holds NaN or infinity."""
        return pictures.to_uint8(image, self.rules.pictures.uint8)

    @torch.inference_mode()
    def describe(self, stored: Sequence[np.ndarray]) -> Sequence[Features]:
        """Look at stored images, uint8 (h, w, 3) each, once with every network; one description each, in order."""
        descriptions: list[dict[Hashable, Any]] = []
        for start in range(0, len(stored), self._batch):
            batch = Batch(stored[start : start + self._batch], self._device)
            pieces = {key: look(batch) for key, look in self._looks.items()}
            descriptions += [{key: piece[i] for key, piece in pieces.items()} for i in range(len(batch.pixels))]
        return descriptions

    @torch.inference_mode()
    def score(self, generated: Features, original: Features) -> Scored:
        """Compare two descriptions of one image. The order matters: MS-SSIM guesses its range from the first."""
        values: dict[str, float] = {}
        failures: dict[str, str] = {}
        for stem, pair in self._pairs.items():
            try:
                values[stem] = _compared(pair, generated[pair.look], original[pair.look])
            except NoValue as reason:
                failures[stem] = str(reason)
        features = {stem: np.asarray(generated[look], dtype=np.float32) for stem, look in self._sets.items()}
        return Scored(values, features, failures)


def _compared(pair: Pair, generated: Any, original: Any) -> float:
    for piece, which in ((generated, "generated"), (original, "original")):
        if isinstance(piece, Refusal):
            raise NoValue(f"{piece.reason} in the {which} picture")
    value = pair.compare(generated, original)
    if not math.isfinite(value):
        raise NoValue("the value is NaN or infinite")
    return value


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
        protocol_name: "paper-1", "standard-1", "synthetic-1", or a path to a file of that form.
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
    tools = Tools(domain, torch.device(device), weights, world)
    missing = _missing(rules.of(domain), tools)
    present = [column for column in rules.of(domain) if column.stem not in missing]
    return _evaluate(
        rules,
        tools,
        missing,
        _pairs={column.stem: column.options.prepare(tools) for column in present if not column.is_set},
        _sets={column.stem: column.options.prepare(tools) for column in present if owns_features(column)},
        _looks=tools.looks,
        _device=tools.device,
        _batch=batch,
    )


def plan_evaluator(
    protocol_name: str | Path, *, domain: Domain, weights: Callable[[str], Path], world: World | None = None
) -> ProtocolEvaluator:
    """A protocol as `load_judge` would load it, but without networks: it has names, digest and gaps, and sees nothing.

    Raises:
        UsageError: Unknown protocol, or a file that does not parse.
    """
    rules = load_protocol(protocol_name)
    tools = Tools(domain, torch.device("cpu"), weights, world)
    return _evaluate(rules, tools, _missing(rules.of(domain), tools))


def missing_columns(
    rules: ProtocolFile, domain: Domain, weights: Callable[[str], Path], world: World | None = None
) -> Mapping[str, MissingError]:
    """Stem -> why it cannot be measured here and the command that changes that, without loading any network."""
    return _missing(rules.of(domain), Tools(domain, torch.device("cpu"), weights, world))


def _evaluate(
    rules: ProtocolFile, tools: Tools, missing: Mapping[str, MissingError], **ready: Any
) -> ProtocolEvaluator:
    present = [column for column in rules.of(tools.domain) if column.stem not in missing]
    return ProtocolEvaluator(
        rules=rules,
        domain=tools.domain,
        protocol=rules.name,
        digest=_digest(rules, tools),
        pair_metrics=tuple(column.stem for column in present if not column.is_set),
        set_metrics=tuple(column.stem for column in present if column.is_set),
        feature_stems=tuple(column.stem for column in present if owns_features(column)),
        missing=missing,
        **ready,
    )


def owns_features(column: Column) -> bool:
    """Whether a column keeps features of its own; KID shares those of FID."""
    return column.is_set and column.options.shares() is None


def _missing(columns: Sequence[Column], tools: Tools) -> dict[str, MissingError]:
    """Why each column that cannot be measured cannot be, with every network it lacks."""
    found = {column.stem: _absent(column, tools) for column in columns}
    for column in columns:
        source = column.options.shares() if column.is_set else None
        found[column.stem] += found.get(source, []) if source else []
    return {stem: all_missing(errors) for stem, errors in found.items() if errors}


def _absent(column: Column, tools: Tools) -> list[MissingError]:
    absent = []
    for name in column.options.needs():
        try:
            tools.need_world() if name == "world" else tools.path(name)
        except MissingError as error:
            absent.append(error)
    return absent


def _digest(rules: ProtocolFile, tools: Tools) -> str:
    digest = hashlib.sha256(f"{rules.digest} {tools.domain}".encode())
    for name, path in sorted(tools.used.items()):
        digest.update(f"\n{name} {_path_digest(path)}".encode())
    if tools.world is not None and any("world" in column.options.needs() for column in rules.of(tools.domain)):
        digest.update(f"\nworld {tools.world.digest}".encode())
    return digest.hexdigest()


def _path_digest(path: Path) -> str:
    if not path.is_dir():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return " ".join(f"{file.relative_to(path).as_posix()} {file_digest(file)}" for file in files)
