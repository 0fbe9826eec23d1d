"""From samples of a generator to direction files and cards: what `edits fit` does once the generator is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from bench.core.contract import Domain
from bench.core.errors import UsageError
from bench.core.files import explain_write_errors
from bench.edits.cards import Card, Column, generator_of
from bench.edits.fit.card_files import plain_name, write_card
from bench.edits.fit.estimators import Boundary, ends, fit_boundary, fit_pca, fit_regression, save_directions
from bench.edits.fit.samples import Samples, is_file, labeller_of, measured, scores_of_file, world_labeller

# What a strength of a card is made of: this many standard deviations of the samples along the direction.
DEVIATIONS = 2.0
Scores = Mapping[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        domain: "faces" or "cars".
        kind: "regression", "boundary" or "pca".
        labels: A CSV file, "module:function", or "" for the synthetic world's regressor.
        attributes: Which of the labels' attributes; () for all.
        components: Of a PCA, at most; fewer where samples or codes have no more.
        seed: Of the held-out samples.
        output: The safetensors file; cards are written beside it.
        origin: Where the generator comes from, in words.
    """

    domain: Domain
    kind: Literal["regression", "boundary", "pca"]
    labels: str
    attributes: tuple[str, ...]
    components: int
    seed: int
    output: Path
    origin: str

    @property
    def stem(self) -> str:
        """What the files written are called, without their endings."""
        return plain_name(self.output.stem)


def find(samples: Samples, request: Request, say: Callable[[str], None]) -> dict[str, Any]:
    """Fit directions, write them and their cards; returns facts for people.

    Raises UsageError for labels that do not fit or attributes that nothing measures, MissingError for files that
    cannot be written.
    """
    generator = generator_of(request.domain, int(samples.generator.config.rows))
    if request.kind == "pca":
        return _pca(samples, request, generator)
    scores, measurer = _scores(samples, request, generator, say)
    tensors, facts, cards = {}, {}, []
    for name in request.attributes or tuple(scores):
        if name not in scores:
            raise UsageError(f"nothing measures {name!r}", f"measured: {', '.join(scores)}")
        found, facts[name] = _direction(samples.codes, *scores[name], request)
        tensors[name] = found.normal
        cards.append(_card(name, found, samples.codes, request, generator, measurer))
    save_directions(request.output, tensors, {"generator": generator, **{k: str(v) for k, v in facts.items()}})
    return {**facts, "generator": generator, **_written(cards, request)}


def write_images(samples: Samples, folder: Path) -> int:
    """Write every sample's image as "<number>.png", for people or programs to score; returns how many."""
    from PIL import Image

    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for start, images in samples.images():
            pixels = ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
            for at, image in enumerate(pixels):
                Image.fromarray(image).save(folder / f"{start + at:05d}.png")
    return len(samples.codes)


def _scores(samples: Samples, request: Request, generator: str, say: Callable[[str], None]) -> tuple[Scores, str]:
    """Attribute -> (sample numbers, scores), and what gave them."""
    everything = torch.arange(len(samples.codes))
    if is_file(request.labels):
        file = Path(request.labels)
        scores = scores_of_file(file, len(samples.codes))
        for name, (which, _) in scores.items():
            if len(which) < len(everything) and name in (request.attributes or (name,)):
                say(f"{file.name}: {len(everything) - len(which)} of {len(everything)} samples have no {name}")
        return scores, file.name
    if request.labels:
        label, what = labeller_of(request.labels), request.labels
    else:
        label, what = world_labeller(generator, samples.device), "the synthetic world's regressor"
    return {name: (everything, own) for name, own in measured(samples, label, what, say).items()}, what


def _direction(codes: Tensor, which: Tensor, scores: Tensor, request: Request) -> tuple[Boundary, str]:
    if request.kind == "regression":
        found = fit_regression(codes[which], scores, seed=request.seed)
        return found, f"R2 {found.score:.3f} on held-out samples, of {found.samples}"
    chosen, signs = ends(scores)
    found = fit_boundary(codes[which][chosen], signs, seed=request.seed)
    return found, f"accuracy {found.score:.3f} on held-out samples, of {found.samples}"


def _card(name: str, found: Boundary, codes: Tensor, request: Request, generator: str, measurer: str) -> Card:
    size = _rounded(DEVIATIONS * float((codes @ found.normal).std()))
    edit = f"{request.stem}_{plain_name(name)}"
    return Card(
        name=edit,
        domain=request.domain,
        generator=generator,
        rule="add",
        origin=f"{request.kind} on {found.samples} samples of {request.origin}, scored by {measurer} (edits fit)",
        licence="that of the generator and of what scored it",
        sign=f"+ has more {name}",
        strength_source=f"{DEVIATIONS:g} standard deviations of the samples along the direction",
        file=request.output.name,
        key=name,
        dim=codes.shape[1],
        columns=(Column(f"{edit}+", size), Column(f"{edit}-", -size)),
        sweep=tuple(_rounded(size * part) for part in (-1.5, -1, -0.5, 0.5, 1, 1.5)),
    )


def _pca(samples: Samples, request: Request, generator: str) -> dict[str, Any]:
    codes = samples.codes
    found = fit_pca(codes, min(request.components, codes.shape[1], len(codes) - 1))
    count = len(found.std)
    tensors = {"mean": found.mean, "comp": found.comp, "std": found.std}
    save_directions(request.output, tensors, {"generator": generator, "components": str(count)})
    edit = f"{request.stem}_0"
    card = Card(
        name=edit,
        domain=request.domain,
        generator=generator,
        rule="set_coordinate",
        origin=f"first of {count} components of {len(codes)} samples of {request.origin} (edits fit)",
        licence="that of the generator",
        sign="a component has no sign of its own",
        strength_source=f"{DEVIATIONS:g} standard deviations; another component or other layers make another edit",
        file=request.output.name,
        key="comp",
        dim=codes.shape[1],
        component=0,
        layers=(0, int(samples.generator.config.rows)),
        columns=(Column(f"{edit}+", DEVIATIONS), Column(f"{edit}-", -DEVIATIONS)),
        sweep=(-2.0, -1.0, 1.0, 2.0),
    )
    return {"components": count, "generator": generator, **_written([card], request)}


def _written(cards: list[Card], request: Request) -> dict[str, Any]:
    """Write the cards beside the directions; what to say of them."""
    paths = [write_card(card, request.output.with_name(f"{card.name}.toml")) for card in cards]
    options = " ".join(f"--card {path}" for path in paths)
    names = ",".join(card.name for card in cards)
    return {
        "file": str(request.output),
        "cards": [str(path) for path in paths],
        "use": f"python run_bench.py {options} --edits {names}",
    }


def _rounded(value: float) -> float:
    return float(f"{value:.3g}")
