"""From cards to directions, loaded and checked (protocol card, section 4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from bench.core.contract import CODE_RULES, Direction, EditPass
from bench.core.domains import find_domain
from bench.core.errors import FETCH, MissingError, UsageError
from bench.edits.cards import Card
from bench.edits.columns import Planned
from bench.edits.direction_files import read_tensor, spread
from bench.edits.mapper_files import load_mapper
from bench.edits.style_files import load_styles
from bench.weights.registry import entries


class NoDirectionError(MissingError):
    """A direction file that is nowhere; any other MissingError is of a file that is there and does not fit."""


def load_direction(
    card: Card,
    files: Callable[[str], Path],
    *,
    generator: str,
    latent_rows: int,
    method: str | None = None,
    width: int = 0,
) -> Direction:
    """Load and check the direction of a card.

    Args:
        card: See `find_card`.
        files: Resolves the card's file name to a path.
        generator: The generator the codes belong to; a card for another one is refused by name.
        latent_rows: L, rows of the W+ codes.
        method: Takes this method's own direction where the card has one.
        width: D of the codes where it is known.

    Returns:
        A direction whose vector is float32 (L, D), zero outside the card's layers.

    Raises:
        UsageError: The card is for another generator or other methods.
        MissingError: The file is absent or damaged, or its tensor does not fit card and generator.
    """
    card = card.for_method(method)
    if width and card.rule in CODE_RULES and card.dim not in (0, width):
        raise MissingError(
            f"the edit {card.name!r} is for codes {card.dim} wide; those of {method or 'this method'} are {width} wide",
            "use a card of this generator, or find its own: run_bench.py edits fit",
        )
    card = replace(card, dim=card.dim or width)
    if card.generator != generator:
        raise UsageError(f"the edit {card.name!r} is a direction for {card.generator}; this generator is {generator}")
    mask = _layer_mask(card, latent_rows)
    if card.rule == "camera":
        turn = (float(card.turn[0]), float(card.turn[1]))
        return Direction(card.name, "camera", 0 * mask, _digest(card, [torch.tensor(turn)]), turn=turn)
    path = files(card.file)
    if card.rule == "mapper":
        return _mapped(card, path, mask)
    if card.rule == "style":
        return _styled(card, path, 0 * mask)
    if card.rule == "set_coordinate":
        return _coordinate(card, path, mask)
    tensor = read_tensor(path, card.key)
    _check_shape(card, tensor, path)
    vector = spread(tensor, latent_rows, card.dim, path, cut=find_domain(card.domain).cut_rows)
    vector = _normalised(vector, card, path) * mask
    return Direction(card.name, "add", vector, _digest(card, [vector]))


def load_directions(
    planned: Sequence[Planned],
    files: Callable[[str], Path],
    *,
    generator: str,
    latent_rows: int,
    method: str | None,
    width: int = 0,
) -> tuple[list[EditPass], dict[str, MissingError]]:
    """The passes with their directions, and by edit why one cannot be had; passes of such an edit are left out.

    `width` is D of the method's codes, 0 where it is not known; a direction of another width does not fit.

    Raises UsageError as `load_direction`.
    """
    passes: list[EditPass] = []
    found: dict[str, Direction] = {}
    absent: dict[str, MissingError] = {}
    for card, edit in planned:
        if card is None:
            passes.append(edit)
            continue
        if card.name not in found and card.name not in absent:
            try:
                found[card.name] = load_direction(
                    card, files, generator=generator, latent_rows=latent_rows, method=method, width=width
                )
            except MissingError as error:
                absent[card.name] = error
        if card.name in found:
            passes.append(replace(edit, direction=found[card.name]))
    return passes, absent


def direction_folders(folders: Sequence[Path]) -> Callable[[str], Path]:
    """A resolver that looks for direction files in these folders, first match wins.

    It raises MissingError with what to do: fetch the file, or put it there.
    """

    def resolve(name: str) -> Path:
        for folder in folders:
            if (folder / name).exists():
                return folder / name
        places = ", ".join(map(str, folders)) or "no folder"
        known = name in entries()
        advice = f"{FETCH} {name}" if known else "put it in one of these folders"
        raise NoDirectionError(f"direction file {name} is in none of: {places}", advice, (name,) if known else ())

    return resolve


def _coordinate(card: Card, path: Path, mask: Tensor) -> Direction:
    """A GANSpace edit from {"mean" [1, D], "comp" [K, 1, D], "std" [K]}."""
    assert card.component is not None
    components = read_tensor(path, card.key or "comp")
    _check_shape(card, components, path)
    mean, std = read_tensor(path, "mean").flatten(), read_tensor(path, "std").flatten()
    width, count = mean.numel(), std.numel()
    if components.numel() != count * width or (card.dim and width != card.dim):
        shapes = f"comp {list(components.shape)}, mean [{width}], std [{count}]"
        raise MissingError(f"{path}: {shapes} do not fit together for codes of width {card.dim or width}")
    if card.component >= count:
        raise MissingError(f"{path}: has {count} components; the edit {card.name!r} is number {card.component}")
    component = components.reshape(count, width)[card.component].clone()
    scale = float(std[card.component])
    vector = component * mask
    digest = _digest(card, [vector, component, mean, torch.tensor(scale)])
    return Direction(card.name, "set_coordinate", vector, digest, component, mean.clone(), scale)


def _mapped(card: Card, path: Path, mask: Tensor) -> Direction:
    """A StyleCLIP mapper; which groups of rows it has is part of the digest, as its tensors are."""
    mapper = load_mapper(path)

    def step(codes: Tensor) -> Tensor:
        return mapper.to(codes.device)(codes)

    digest = _digest(card, [*mapper.state_dict().values()])
    return Direction(card.name, "mapper", mask, _extended(digest, mapper.groups), mapper=step)


def _styled(card: Card, path: Path, still: Tensor) -> Direction:
    """StyleCLIP's global direction, made of a file's offsets; see `style_files`."""
    styles = load_styles(path, card)
    digest = _digest(card, [*styles.values()])
    return Direction(card.name, "style", still, _extended(digest, tuple(styles)), styles=styles)


def _extended(digest: str, facts: tuple[object, ...]) -> str:
    return hashlib.sha256(f"{digest} {facts}".encode()).hexdigest()


def _check_shape(card: Card, tensor: Tensor, path: Path) -> None:
    if card.shape and tuple(tensor.shape) != card.shape:
        raise MissingError(f"{path}: a direction of shape {list(tensor.shape)}, the card says {list(card.shape)}")


def _layer_mask(card: Card, latent_rows: int) -> Tensor:
    first, last = card.layers or (0, latent_rows)
    if last > latent_rows:
        fault = f"changes rows {first} to {last - 1}; the generator's codes have {latent_rows}"
        raise MissingError(f"the edit {card.name!r} {fault}")
    mask = torch.zeros(latent_rows, 1)
    mask[first:last] = 1.0
    return mask


def _normalised(vector: Tensor, card: Card, path: Path) -> Tensor:
    if card.normalise == "none":
        return vector
    norm = vector.norm() if card.normalise == "unit_total" else vector.norm(dim=1, keepdim=True)
    if bool((norm == 0).any()):
        raise MissingError(f"{path}: the direction has no length")
    return vector / norm


def _digest(card: Card, tensors: Sequence[Tensor]) -> str:
    """SHA-256 over what the edit does; the card's prose and the strengths are not part of it."""
    meaning = [card.name, card.generator, card.rule, list(card.layers), card.component]
    digest = hashlib.sha256(json.dumps(meaning).encode())
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().astype("<f4").tobytes())
    return digest.hexdigest()
