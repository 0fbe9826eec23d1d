"""Samples of a generator for fitting directions: codes of a seeded stream, their images, and what labels them.

Labels are a CSV file of scores by sample number, a function of somebody's own, or the synthetic world's regressor,
which can judge the world's images alone.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.core.contract import Method
from bench.core.errors import MissingError, UsageError
from bench.core.files import read_lines
from bench.core.modules import import_module
from bench.core.samples import DrawsSamples, SampledGenerator

# Images (N, 3, H, W) in about [-1, 1] -> scores (N,), one attribute or several by name.
Labeller = Callable[[Tensor], Tensor | Mapping[str, Tensor]]
# Pixels of the images that are generated together: one of 1024 px, or 256 of 64 px.
_PIXELS = 1 << 20
# Of a score; beyond it sums of float32 squares overflow.
_LARGEST = 1e15


@dataclass(frozen=True)
class Samples:
    """Codes w of a generator, and how their images are made.

    Attributes:
        codes: float32 (N, D), on the CPU.
        generator: What they are drawn from.
        crop: What a method cuts off the generator's image (the bars of cars).
        device: Where images are made.
    """

    codes: Tensor
    generator: SampledGenerator
    crop: Callable[[Tensor], Tensor]
    device: str

    @torch.inference_mode()
    def images(self) -> Iterator[tuple[int, Tensor]]:
        """(number of the first, float32 (n, 3, H, W) in [-1, 1]) of some samples at a time, in order."""
        size = int(self.generator.config.size)
        together = max(1, _PIXELS // size**2)
        for start in range(0, len(self.codes), together):
            codes = self.codes[start : start + together].to(self.device)
            yield start, self.crop(self.generator(self.generator.broadcast(codes))).clamp(-1, 1).float()


def drawn_from(method: Method) -> DrawsSamples:
    """A loaded method that samples can be drawn from. Raises UsageError for one that offers no generator for it."""
    if isinstance(method, DrawsSamples):
        return method
    raise UsageError(
        f"{method.name} has no generator with a mapping network to sample from",
        "name a method with one, or --generator FILE",
    )


@torch.inference_mode()
def draw(
    generator: SampledGenerator,
    count: int,
    seed: int,
    device: str = "cpu",
    crop: Callable[[Tensor], Tensor] | None = None,
) -> Samples:
    """`count` samples of W; the same seed gives the same z, whatever the device."""
    if count < 1:
        raise UsageError(f"--samples {count}: at least 1")
    z = torch.randn(count, generator.config.style_dim, generator=torch.Generator().manual_seed(seed))
    codes = [generator.mapping(part.to(device)).float().cpu() for part in z.split(512)]
    return Samples(torch.cat(codes).clone(), generator, crop or (lambda images: images), device)


def is_file(labels: str) -> bool:
    """Whether `--labels` names a file of scores and no function; a path of Windows has a colon as well."""
    return Path(labels).suffix.lower() in (".csv", ".tsv", ".txt") or (bool(labels) and Path(labels).is_file())


def scores_of_file(path: Path, count: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Scores of a CSV file: attribute -> (sample numbers, scores).

    Its header is "sample" and the attributes' names; a sample may be left out, an empty field is no score.

    Raises MissingError where the file cannot be read, UsageError for a row that does not fit, with its line.
    """
    try:
        written = [line for _, line in read_lines(path)]
        reader = csv.reader(written, delimiter=_delimiter(written))
        lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise MissingError(f"{path}: the labels cannot be read ({why})") from error
    header = [name.strip() for name in lines[0][1]] if lines else []
    if len(header) < 2 or header[0].casefold() != "sample" or not all(header):
        raise UsageError(
            f"{path}: wrong header", "sample,smile in the first line, then a sample's number and its score"
        )
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise UsageError(f"{path}, line {lines[0][0]}: the column {twice!r} is there twice")
    seen: set[int] = set()
    found: dict[str, dict[int, float]] = {name: {} for name in header[1:]}
    for number, line in lines[1:]:
        try:
            sample, scores = int(line[0]), [float(text) if text.strip() else None for text in line[1:]]
        except ValueError:
            raise UsageError(
                f"{path}, line {number}: expected a sample's number and scores, not {','.join(line)[:80]!r}"
            ) from None
        if odd := [score for score in scores if score is not None and not abs(score) <= _LARGEST]:
            raise UsageError(f"{path}, line {number}: {odd[0]:g} is no score", "leave the field empty for none")
        if not 0 <= sample < count or len(scores) != len(found):
            raise UsageError(f"{path}, line {number}: expected a sample of 0 to {count - 1} and {len(found)} scores")
        if sample in seen:
            raise UsageError(f"{path}, line {number}: sample {sample} is there twice")
        seen.add(sample)
        for name, score in zip(found, scores, strict=True):
            if score is not None:
                found[name][sample] = score
    if empty := [name for name, own in found.items() if not own]:
        raise UsageError(f"{path}: no sample has a score in the column {empty[0]!r}")
    return {name: (torch.tensor(list(own)), torch.tensor(list(own.values()))) for name, own in found.items()}


def _delimiter(lines: Sequence[str]) -> str:
    header = lines[0] if lines else ""
    return next((mark for mark in ("\t", ";") if mark in header and "," not in header), ",")


def labeller_of(name: str) -> Labeller:
    """A function by "module:function" or "file.py:function". Raises MissingError or UsageError."""
    module, _, function = name.rpartition(":")
    if not module or not function:
        raise UsageError(f"--labels {name!r} is neither a CSV file nor MODULE:FUNCTION", "--labels scores.csv")
    found = getattr(import_module(module, "labels"), function, None)
    if not callable(found):
        raise UsageError(f"--labels: {module} has no function {function!r}")
    labeller: Labeller = found
    return labeller


def world_labeller(generator_name: str, device: str) -> Labeller:
    """The synthetic world's regressor. Raises UsageError by name for a generator whose images it cannot judge."""
    if generator_name != "synthetic-64":
        raise UsageError(
            f"the synthetic world's regressor measures the world's images of 64 px, not those of {generator_name}",
            "give the scores: --labels FILE.csv or --labels MODULE:FUNCTION; --kind pca needs none",
        )
    networks = importlib.import_module("bench.world.networks").load_world_networks(device=device)
    attributes: Labeller = networks.attributes
    return attributes


def measured(samples: Samples, label: Labeller, what: str, say: Callable[[str], None]) -> dict[str, Tensor]:
    """Attribute -> scores (N,) of all samples; a labeller without names has the one attribute "score".

    Raises UsageError where the labeller fails, or gives something else than a score an image.
    """
    parts: dict[str, list[Tensor]] = {}
    names: set[str] | None = None
    for start, images in samples.images():
        try:
            answer = label(images)
        except Exception as error:
            size = "x".join(map(str, images.shape[2:]))
            raise UsageError(f"{what} cannot judge images of {size}: {type(error).__name__}: {error}") from error
        by_name = {str(name): own for name, own in answer.items()} if isinstance(answer, Mapping) else {"score": answer}
        if not by_name or by_name.keys() != (names or by_name.keys()):
            earlier = f", and {', '.join(sorted(names))} before" if names else ""
            raise UsageError(f"{what} measures {', '.join(sorted(by_name)) or 'nothing'} of image {start}{earlier}")
        names = set(by_name)
        for name, values in by_name.items():
            scores = _as_scores(values, what)
            if tuple(scores.shape) != (len(images),):
                raise UsageError(f"{what} gave {list(scores.shape)} for {len(images)} images; expected one score each")
            if len(odd := (~(scores.abs() <= _LARGEST)).nonzero()):
                value, at = float(scores[odd[0]]), start + int(odd[0])
                raise UsageError(f"{what} gave {value:g} as {name} of image {at}; that is no score")
            parts.setdefault(name, []).append(scores)
        if start and start // 500 != (start - len(images)) // 500:
            say(f"{start} of {len(samples.codes)} images")
    return {name: torch.cat(found) for name, found in parts.items()}


def _as_scores(values: object, what: str) -> Tensor:
    try:
        return torch.as_tensor(values).detach().float().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} gave {type(values).__name__}, no tensor of scores ({error})") from error
