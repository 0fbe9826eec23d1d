"""The types every room shares: what a method, an image, an edit and a data set are.

Ground floor of the house: imports nothing of ours from outside `bench.core`. The whole image is in CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bench.core.domains import Domain

# How images of another size are brought to a method's; always antialiased.
InputFilter = Literal["bilinear", "bicubic", "lanczos"]
# How an edit acts: on the codes (add, set_coordinate, mapper), on the generator's styles, or on the camera.
Rule = Literal["add", "set_coordinate", "mapper", "style", "camera"]
CODE_RULES: tuple[Rule, ...] = ("add", "set_coordinate", "mapper")
V = TypeVar("V")


@dataclass(frozen=True)
class Inversion:
    """Everything a method needs to generate and edit a batch again; nothing of it depends on an edit.

    Methods subclass it with further fields. Every field is a tensor whose first axis is the batch, a (nested) tuple or
    mapping of such tensors, or None.

    Attributes:
        codes: float32 (N, L, 512), W+ including latent_avg.
    """

    codes: Tensor

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice) -> Self:
        return self._map(lambda tensor: tensor[rows])

    def to(self, device: torch.device | str) -> Self:
        """The same on a device."""
        return self._map(lambda tensor: tensor.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed: dict[str, Any] = {f.name: _map_value(getattr(self, f.name), change) for f in fields(self)}
        return replace(self, **changed)


def _map_value(value: object, change: Callable[[Tensor], Tensor]) -> object:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _map_value(item, change) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_map_value(item, change) for item in value)
    return value


@runtime_checkable
class Method(Protocol):
    """An inversion-and-editing method, ready to run (see `methods.load_method`).

    Attributes:
        name: Registry name, e.g. "styleres" or "psp+warpres".
        domain: "faces" or "cars".
        input_size: (height, width) that `invert` takes, exactly.
        output_size: (height, width) that `edit` returns.
        latent_rows: L, rows of the W+ codes.
        stages: Stage names in running order; `stage()` announces them while the method runs.
    """

    name: str
    domain: Domain
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    latent_rows: int
    stages: tuple[str, ...]

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, h, w) in [-1, 1], RGB, exactly `input_size`."""
        ...

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        """Generate float32 (N, 3, H, W) in about [-1, 1], not clamped.

        `delta` is (L, 512) or (N, L, 512), added to the codes; None gives the reconstruction.
        """
        ...


@runtime_checkable
class SharesEncoder(Method, Protocol[V]):
    """A method whose first step other methods may take over: `invert(x)` is `invert_from(x, invert_base(x))`.

    Attributes:
        base_digest: Hex SHA-256 of all that decides `invert_base`; methods of one digest give each other's results.
            None for a method that keeps them to itself.
    """

    @property
    def base_digest(self) -> str | None:
        """Hex SHA-256 of all that decides `invert_base`, or None."""
        ...

    def invert_base(self, images: Tensor) -> V:
        """What the encoder alone gives for images as `invert` takes them."""
        ...

    def invert_from(self, images: Tensor, base: V) -> Inversion:
        """The inversion of images whose `invert_base` is known."""
        ...


class StyleMethod(Method, Protocol):
    """A method over a StyleGAN2 generator, whose styles an edit may move (rule "style")."""

    def edit(
        self, inversion: Inversion, delta: Tensor | None = None, style_delta: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """As `Method.edit`; `style_delta` is convolution layer -> (C,) or (N, C), added to its affine's output."""
        ...


@dataclass(frozen=True)
class TwinInversion(Inversion):
    """An inversion with a second encoder's codes, which only say what an edit changes.

    Attributes:
        shadow: float32 (N, L, 512), as `codes`. An edit that depends on codes is worked out for either.
    """

    shadow: Tensor


class TwinMethod(Method, Protocol):
    """A method whose inversions are `TwinInversion`s."""

    def edit(
        self,
        inversion: Inversion,
        delta: Tensor | None = None,
        style_delta: Mapping[int, Tensor] | None = None,
        shadow_delta: Tensor | None = None,
    ) -> Tensor:
        """As `StyleMethod.edit`; `shadow_delta` is added to the second codes, which get `delta` too where None."""
        ...


@runtime_checkable
class KnowsWidth(Protocol):
    """A method that says how wide its codes are; of any other it is found out."""

    latent_width: int


@runtime_checkable
class ChoosesFilter(Protocol):
    """A method that says how images of another size are brought to its own; any other's are resized bilinearly."""

    input_filter: InputFilter


def input_filter_of(method: Method) -> InputFilter:
    """The filter images are resized with for a method."""
    return method.input_filter if isinstance(method, ChoosesFilter) else "bilinear"


@runtime_checkable
class CameraMethod(Protocol):
    """A method over a 3D generator: it needs the camera of every image, and an edit may move it (rule "camera")."""

    def invert_seen(self, images: Tensor, cameras: Tensor) -> Inversion:
        """As `Method.invert`, with cameras (N, 25): camera-to-world 4x4 and intrinsics 3x3, row by row."""
        ...

    def view(self, inversion: Inversion, degrees: Tensor) -> Tensor:
        """The scene (N, 3, H, W) from cameras at `degrees` (N, 2), yaw and pitch against the frontal view."""
        ...


# What happens inside a method is announced, not measured: clocks and flow images listen from outside.
_stage_listener: ContextVar[Callable[[str, bool], None] | None] = ContextVar("stage_listener", default=None)
_value_listener: ContextVar[Callable[[str, Tensor], None] | None] = ContextVar("value_listener", default=None)
_step_listener: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("step_listener", default=None)


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Mark a stage of a method ("encode", "flow", ...): announced to the listener, if there is one."""
    listener = _stage_listener.get()
    if listener is None:
        yield
        return
    listener(name, True)
    try:
        yield
    finally:
        listener(name, False)


def announce(name: str, value: Tensor) -> None:
    """Offer an intermediate tensor by name: announce("flow", cells), (N, 2, h, w) in cells of the feature grid."""
    listener = _value_listener.get()
    if listener is not None:
        listener(name, value)


def report_step(name: str, done: int, of: int) -> None:
    """Say how far a long optimisation of one image is: report_step("tune", 12, 350)."""
    listener = _step_listener.get()
    if listener is not None:
        listener(name, done, of)


@contextmanager
def listen(
    stages: Callable[[str, bool], None] | None = None,
    values: Callable[[str, Tensor], None] | None = None,
    steps: Callable[[str, int, int], None] | None = None,
) -> Iterator[None]:
    """Hear the stages (name, begins?), announced values and steps (name, done, of) of the methods that run inside."""
    stage, value, step = _stage_listener.set(stages), _value_listener.set(values), _step_listener.set(steps)
    try:
        yield
    finally:
        _stage_listener.reset(stage)
        _value_listener.reset(value)
        _step_listener.reset(step)


@dataclass(frozen=True)
class ImageRecord:
    """One image of a data set, not yet read.

    Attributes:
        name: File name inside the data set, unique ("2.jpg"); the key everything is joined by.
        digest: Hex SHA-256 of what the pixels come from (the file's bytes, or the scene's parameters).
        attributes: Labels, -1 or 1 as in CelebA ("Smiling": 1).
    """

    name: str
    digest: str
    attributes: Mapping[str, int]


class Dataset(Protocol):
    """A set of images, in a fixed order.

    Attributes:
        name: e.g. "synthetic-faces", "celebahq".
        domain: "faces" or "cars".
        images: In order of evaluation; `--limit N` takes the first N.
        counted: Whether `images` are those of the split; only a plan may go on without knowing them.
    """

    name: str
    domain: Domain
    images: Sequence[ImageRecord]
    counted: bool

    def read(self, image: ImageRecord) -> np.ndarray:
        """Pixels as uint8 (H, W, 3) RGB. Raises ImageError when the file cannot be used."""
        ...


@dataclass(frozen=True)
class Direction:
    """A latent edit, loaded and checked; how far it goes is not part of it.

    Attributes:
        name: Card name ("smile").
        rule: "add" (codes + s * vector), "set_coordinate" (GANSpace: the coordinate read in row 0 is set to s),
            "mapper" (StyleCLIP: codes + s * mapper(codes)), "style" (s * styles on the affine layers' outputs), or
            "camera" (the scene is seen from s * turn degrees).
        vector: float32 (L, 512), already zero outside the card's layers; (L, 1) ones and zeros for "mapper", zeros for
            "style" and "camera".
        mean, std: For "set_coordinate": (512,) and a float; the unit component is `component`, (512,).
        digest: SHA-256 of card and vector, part of every result's key.
        mapper: For "mapper": codes (N, L, 512) -> step (N, L, 512).
        styles: For "style": convolution layer -> (C,), added to that layer's style at strength 1.
        turn: For "camera": degrees of yaw and pitch at strength 1.
    """

    name: str
    rule: Rule
    vector: Tensor
    digest: str
    component: Tensor | None = None
    mean: Tensor | None = None
    std: float | None = None
    mapper: Callable[[Tensor], Tensor] | None = None
    styles: Mapping[int, Tensor] | None = None
    turn: tuple[float, float] | None = None

    def delta(self, codes: Tensor, strength: float) -> Tensor:
        """The codes' change, (N, L, 512), for float32 codes (N, L, 512); zero where the edit is not one of codes."""
        if self.rule == "mapper":
            assert self.mapper is not None
            return strength * self.mapper(codes) * self.vector.to(codes)
        if self.rule != "set_coordinate":
            return (strength * self.vector.to(codes)).expand_as(codes)
        assert self.component is not None and self.mean is not None and self.std is not None
        coordinate = ((codes[:, 0] - self.mean.to(codes)) @ self.component.to(codes)) / self.std
        return ((strength - coordinate) * self.std)[:, None, None] * self.vector.to(codes)


@runtime_checkable
class CameraDataset(Protocol):
    """A data set that knows from where each image was taken."""

    def camera(self, image: ImageRecord) -> np.ndarray:
        """float32 (25,), as `CameraMethod.invert_seen` takes it. Raises ImageError where it is not known."""
        ...


@dataclass(frozen=True)
class EditPass:
    """One pass of the generator over a subset: what a block of table columns is made of.

    Attributes:
        pass_name: Block of the table ("reconstruction", "smile+", "pose-", "grass").
        direction: None for the reconstruction.
        strength: Signed; 0 for the reconstruction.
        inputs: Which images go in: "all" or e.g. "Smiling=-1".
        reals: Which real images the FID compares with: "all" or e.g. "Smiling=1".
        note: What every table must say of its numbers ("the data have no label ..."); "" where nothing is unusual.
        asked: The strength whose change is asked for; None where it is `strength` itself. With matched strengths every
            method has a strength of its own, and what is asked is the same.
        range_share: With matched strengths, the common change as a share of the largest one the method reaches.
    """

    pass_name: str
    direction: Direction | None
    strength: float
    inputs: str = "all"
    reals: str = "all"
    note: str = ""
    asked: float | None = None
    range_share: float | None = None

    @property
    def asked_strength(self) -> float:
        """The strength that the edit asks for, which a method's own (matched) one may differ from."""
        return self.strength if self.asked is None else self.asked
