"""What a method's files hold: several told apart by what they look like, in any order; the parts of one."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bench.core.checkpoint import refuse_strangers, state_dict_of
from bench.core.contract import Domain
from bench.core.errors import MissingError
from bench.core.signature import expect, recognise
from methods.registry import Checkpoint

# What will do for a part, as `recognise` names it; the first is what messages ask for.
Part = tuple[str, ...]


def one_of_each(
    checkpoints: Sequence[Checkpoint], parts: Sequence[Part], method: str, domain: Domain
) -> list[Checkpoint]:
    """The authors' files in the order of `parts`.

    Raises:
        MissingError: One sentence about the files of no use: what they look like, and which parts are wanting.
    """
    left, found = list(checkpoints), dict[Part, Checkpoint]()
    for part in parts:
        for file in left:
            if not file.metadata and any(map(recognise(file.content).fits, part)):
                found[part] = file
                left = [other for other in left if other is not file]
                break
    wanting = [part for part in parts if part not in found]
    if wanting:
        _refuse(left, wanting, method, domain)
    for part, file in found.items():
        looks = recognise(file.content)
        expect(file.content, file.path, method, domain, part=next(filter(looks.fits, part)))
    return [found[part] for part in parts]


def tensors_of(file: Checkpoint, parts: tuple[str, ...], method: str, domain: Domain) -> dict[str, Tensor]:
    """The tensors of a method that lies in one file, the authors' or ours.

    Args:
        parts: What their names begin with ("encoder.", "decoder.", "latent_avg").

    Raises:
        MissingError: The file is of another method or domain, or holds what belongs to no part.
    """
    expect(file.content, file.path, method, domain)
    tensors = state_dict_of(file.content)
    refuse_strangers(tensors, parts, file.path)
    return tensors


def _refuse(left: Sequence[Checkpoint], wanting: Sequence[Part], method: str, domain: Domain) -> None:
    if len(left) == 1 and not left[0].metadata:
        expect(left[0].content, left[0].path, method, domain, part=wanting[0][0])
    seen = ", ".join(f"{file.path} looks like {recognise(file.content)}" for file in left)
    raise MissingError(
        f"{seen}; expected {' and '.join(part[0] for part in wanting)} for {domain}, as their authors released them",
        f"give the {method} checkpoints for {domain} (weights path {method})",
    )
