"""StyleCLIP mapper files: the authors' training checkpoint and StyleRes' slim copy (edits card, section 1.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError
from bench.core.options import options_of
from methods.nets.mapper import GROUPS, Group, LatentMapper

_NAME = re.compile(r"(course|medium|fine)_mapping\.mapping\.[1-4]\.(weight|bias)")
_FLAGS: dict[Group, str] = {"course": "no_coarse_mapper", "medium": "no_medium_mapper", "fine": "no_fine_mapper"}


def load_mapper(path: Path) -> LatentMapper:
    """The mapper of a file in either container, loaded strictly, in eval mode without gradients.

    Which groups it has is read from the names present, and held against the file's own options where it has some.

    Raises:
        MissingError: No mapper, one of another kind (StyleCLIP's single and style-space mappers, none of them
            released), a tensor too many, missing or of another shape, or options that say otherwise.
    """
    content = read_checkpoint(path)
    tensors = _tensors(content, path)
    groups = tuple(group for group in GROUPS if take(tensors, f"{group}_mapping."))
    if not groups:
        raise MissingError(f"{path} holds no StyleCLIP mapper", "give <edit>.pt of StyleCLIP or StyleRes")
    _check_options(options_of(content), groups, path)
    width = max(value.shape[-1] for value in tensors.values())
    with torch.device("meta"):
        mapper = LatentMapper(groups, width)
    load_strict(mapper, tensors, str(path))
    return mapper.eval().requires_grad_(False)


def _tensors(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The mapper's tensors under the slim names; the generator beside them in the original container is left out."""
    named = state_dict_of(content)
    inner = take(named, "mapper.")
    tensors = inner or {name: value for name, value in named.items() if not name.startswith("decoder.")}
    strangers = [name for name in tensors if not _NAME.fullmatch(name)]
    if strangers:
        kind = "a single mapper" if strangers[0].startswith("mapping.") else "a style-space mapper"
        known = strangers[0].startswith(("mapping.", "mapper_"))
        what = f"{path} looks like {kind} of StyleCLIP" if known else f"{path}: {strangers[0]} belongs to no mapper"
        raise MissingError(what, "mappers of three groups are read (LevelsMapper), as the released ones are")
    return tensors


def _check_options(options: Mapping[str, Any], groups: tuple[Group, ...], path: Path) -> None:
    for group, flag in _FLAGS.items():
        if flag in options and bool(options[flag]) == (group in groups):
            says = "has none" if options[flag] else "has one"
            fault = f"{path}: the options say that the mapper {says} for {group} rows ({flag}), the tensors do not"
            raise MissingError(fault, "use the file as its authors released it")
