"""What a checkpoint looks like from its tensor names: method, domain, resolution. For messages, never for loading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.core.domains import domains, find_domain
from bench.core.errors import MissingError
from bench.core.options import options_of
from bench.core.tensor_names import known_names, tensor_names

_BY_ENCODER = {
    "GradualStyleEncoder": "psp",
    "Encoder4Editing": "e4e",
    "ProgressiveBackboneEncoder": "restyle",
    "ResNetProgressiveBackboneEncoder": "restyle",
    "BackboneEncoder": "restyle-psp",
    "ResNetBackboneEncoder": "restyle-psp",
}


@dataclass(frozen=True)
class Looks:
    """What a file looks like.

    Attributes:
        what: "e4e", "hyperstyle's W encoder", ...; "e4e or psp" where names alone cannot tell; "" when unknown.
        domain: "faces", "cars", another data set's name, or "" when unknown.
        size: Side of the generator's image, or None.
        ours: Whether it is one of our own files.
    """

    what: str
    domain: str = ""
    size: int | None = None
    ours: bool = False

    def fits(self, method: str) -> bool:
        """Whether the file may be of that method or part."""
        return method in self.what.split(" or ")

    def __str__(self) -> str:
        if not self.what:
            return "nothing known here"
        return self.what + (f" for {self.domain}" if self.domain else "") + (f", {self.size} px" if self.size else "")


def recognise(content: Mapping[str, Any]) -> Looks:
    """Look at a checkpoint as `read_checkpoint` gives it."""
    metadata = content.get("metadata")
    if isinstance(metadata, Mapping) and "method" in metadata:
        return Looks(str(metadata["method"]), str(metadata.get("domain", "")), None, ours=True)
    names, what = list(tensor_names(content)), known_names(content)
    options = options_of(content)
    by_encoder = _BY_ENCODER.get(str(options.get("encoder_type", "")))
    if by_encoder and by_encoder in what.split(" or "):
        what = by_encoder
    size = _size(names)
    return Looks(what, _domain(str(options.get("dataset_type", "")), size), size)


def expect(content: Mapping[str, Any], where: object, method: str, domain: str, *, part: str = "") -> Looks:
    """Raise MissingError unless the file can be `method` for `domain`; `part` is what of the method it should be.

    Returns what it looks like.
    """
    looks = recognise(content)
    wanted, size = part or method, find_domain(domain).generator_size
    if looks.fits(wanted) and looks.domain in ("", domain) and (looks.ours or looks.size in (None, size)):
        return looks
    raise MissingError(
        f"{where} looks like {looks}; expected {wanted} for {domain}, {size} px",
        f"give the {method} checkpoint for {domain} (weights path {method})",
    )


def _size(names: list[str]) -> int | None:
    if any(name.startswith("superresolution.") for name in names):
        # Of a 3D generator, whose blocks make planes.
        return None
    if blocks := [int(found[1]) for name in names if (found := re.search(r"synthesis\.b(\d+)\.", name))]:
        return max(blocks)
    # To-RGB layers are there even where noise buffers are not.
    if layers := [int(found[1]) for name in names if (found := re.search(r"to_rgbs\.(\d+)\.", name))]:
        return 8 << max(layers)
    if rows := [int(found[1]) for name in names if (found := re.match(r"(?:encoder\.)?styles\.(\d+)\.", name))]:
        return 1 << ((max(rows) + 3) // 2)
    return None


def _domain(dataset: str, size: int | None) -> str:
    name = dataset.lower()
    for spec in domains().values():
        if any(word in name for word in spec.datasets):
            return spec.name
    if name:
        return name.rsplit("_", 1)[0]
    return next((spec.name for spec in domains().values() if spec.generator_size == size), "")
