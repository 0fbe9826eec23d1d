"""Conformance: does a method keep the contract? Works on any method, plug-ins too (`run_bench.py check METHOD`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor, nn

from bench.core.contract import Inversion, Method, listen
from bench.core.domains import domains
from bench.core.errors import BenchError

BATCH_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Finding:
    """Outcome of one check.

    Attributes:
        check: What was checked ("determinism").
        ok: Whether it holds.
        detail: What was measured, or what is wrong.
    """

    check: str
    ok: bool
    detail: str


def check(method: Method, *, seed: int = 0, size: int = 2) -> list[Finding]:
    """Run every check on `size` random images; a check that raises is a finding too, never an exception.

    Checks: attributes, shapes, values, stages, inputs (wrong sizes are refused), determinism, batch size (each image
    alone against the batch, at most 1e-4), invert once (edits leave the inversion as it is), slicing, deltas.
    """
    with torch.inference_mode():
        subject = _Subject(method, seed, size)
        return [_run(name, body, subject) for name, body in _CHECKS.items()]


class _Subject:
    """A method with its inputs. What asks the method waits for its first use, inside a check: it may raise."""

    def __init__(self, method: Method, seed: int, size: int) -> None:
        self.method, self.seed, self.size = method, seed, size

    @cached_property
    def images(self) -> Tensor:
        coarse = torch.randn(self.size, 3, 8, 8, generator=torch.Generator().manual_seed(self.seed))
        size = self.method.input_size
        images = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=True)
        return images.tanh().to(_device(self.method))

    @cached_property
    def delta(self) -> Tensor:
        random = torch.Generator().manual_seed(self.seed + 1)
        return 0.1 * torch.randn(self.inversion.codes.shape[1:], generator=random).to(self.images)

    @cached_property
    def inversion(self) -> Inversion:
        return self.method.invert(self.images)

    @cached_property
    def image(self) -> Tensor:
        return self.method.edit(self.inversion)


def _device(method: Method) -> torch.device:
    first = next(method.parameters(), None) if isinstance(method, nn.Module) else None
    return torch.device("cpu") if first is None else first.device


def _run(name: str, body: Callable[[_Subject], tuple[bool, str]], subject: _Subject) -> Finding:
    try:
        ok, detail = body(subject)
    except Exception as error:
        return Finding(name, False, f"{type(error).__name__}: {error}")
    return Finding(name, ok, detail)


def _attributes(subject: _Subject) -> tuple[bool, str]:
    method = subject.method
    missing = [name for name in Method.__annotations__ if not hasattr(method, name)]
    if missing:
        return False, f"missing: {', '.join(missing)}"
    if method.domain not in domains():
        return False, f"domain is {method.domain!r}"
    return True, f"{method.name}, {method.domain}, input {method.input_size}, output {method.output_size}"


def _shapes(subject: _Subject) -> tuple[bool, str]:
    method, n = subject.method, len(subject.images)
    codes, image = subject.inversion.codes, subject.image
    if codes.shape[:2] != (n, method.latent_rows):
        return False, f"codes have shape {tuple(codes.shape)}, expected ({n}, {method.latent_rows}, D)"
    if tuple(image.shape) != (n, 3, *method.output_size):
        return False, f"images have shape {tuple(image.shape)}, expected {(n, 3, *method.output_size)}"
    if codes.dtype != torch.float32 or image.dtype != torch.float32:
        return False, f"codes are {codes.dtype}, images {image.dtype}; both must be float32"
    if len(subject.inversion) != n:
        return False, f"len(inversion) is {len(subject.inversion)}, expected {n}"
    return True, f"codes {tuple(codes.shape)}, images {tuple(image.shape)}"


def _values(subject: _Subject) -> tuple[bool, str]:
    finite = bool(torch.isfinite(subject.image).all() and torch.isfinite(subject.inversion.codes).all())
    spread = float(subject.image.std())
    return finite and spread > 0, f"finite: {finite}, standard deviation {spread:.3f}"


def _stages(subject: _Subject) -> tuple[bool, str]:
    heard: list[str] = []
    with listen(stages=lambda name, begins: heard.append(name) if begins else None):
        subject.method.edit(subject.method.invert(subject.images[:1]))
    strange = sorted(set(heard) - set(subject.method.stages))
    if strange or not heard:
        return False, f"announced {heard or 'nothing'}, declared {subject.method.stages}"
    return True, " ".join(dict.fromkeys(heard))


def _inputs(subject: _Subject) -> tuple[bool, str]:
    try:
        subject.method.invert(subject.images[:, :, :-8])
    except BenchError as error:
        return True, f"a wrong size is refused: {error.what}"
    return False, "images of a wrong size are taken without a word"


def _determinism(subject: _Subject) -> tuple[bool, str]:
    again = subject.method.invert(subject.images)
    codes = torch.equal(again.codes, subject.inversion.codes)
    image = torch.equal(subject.method.edit(again), subject.image)
    return codes and image, f"bit-identical codes: {codes}, images: {image}"


def _batch_size(subject: _Subject) -> tuple[bool, str]:
    worst = 0.0
    for index in range(len(subject.images)):
        one = subject.method.invert(subject.images[index : index + 1])
        worst = max(worst, _difference(one.codes, subject.inversion.codes[index : index + 1]))
        worst = max(worst, _difference(subject.method.edit(one), subject.image[index : index + 1]))
    return (
        worst <= BATCH_TOLERANCE,
        f"alone against in a batch: largest difference {worst:.1e} (allowed {BATCH_TOLERANCE:.0e})",
    )


def _invert_once(subject: _Subject) -> tuple[bool, str]:
    before = [tensor.clone() for tensor in tensors_of(subject.inversion)]
    edited = subject.method.edit(subject.inversion, subject.delta)
    unchanged = all(torch.equal(a, b) for a, b in zip(before, tensors_of(subject.inversion), strict=True))
    fresh = subject.method.edit(subject.method.invert(subject.images), subject.delta)
    difference = _difference(edited, fresh)
    return (
        unchanged and difference == 0,
        f"inversion unchanged by an edit: {unchanged}, recomputed edit differs by {difference:.1e}",
    )


def _slicing(subject: _Subject) -> tuple[bool, str]:
    last = subject.inversion[-1:]
    if len(last) != 1:
        return False, f"inversion[-1:] has {len(last)} images"
    moved = last.to(_device(subject.method))
    difference = _difference(subject.method.edit(moved), subject.image[-1:])
    return difference <= BATCH_TOLERANCE, f"edit(inversion[-1:]) differs by {difference:.1e}"


def _deltas(subject: _Subject) -> tuple[bool, str]:
    method, inversion = subject.method, subject.inversion
    zero = _difference(method.edit(inversion, torch.zeros_like(subject.delta)), subject.image)
    shared = method.edit(inversion, subject.delta)
    each = _difference(method.edit(inversion, subject.delta.expand(len(inversion), -1, -1)), shared)
    moved = _difference(shared, subject.image)
    ok = zero <= BATCH_TOLERANCE and each <= BATCH_TOLERANCE and moved > 0
    return ok, f"zero delta {zero:.1e}, (L, D) against (N, L, D) {each:.1e}, an edit moves the image by {moved:.1e}"


_CHECKS: dict[str, Callable[[_Subject], tuple[bool, str]]] = {
    "attributes": _attributes,
    "shapes": _shapes,
    "values": _values,
    "stages": _stages,
    "inputs": _inputs,
    "determinism": _determinism,
    "batch size": _batch_size,
    "invert once": _invert_once,
    "slicing": _slicing,
    "deltas": _deltas,
}


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def tensors_of(inversion: Inversion) -> Iterator[Tensor]:
    """Every tensor an inversion holds, in a fixed order."""
    for field in fields(inversion):
        yield from _flat(getattr(inversion, field.name))


def _flat(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _flat(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _flat(item)
