"""The conformance checks: a method that keeps the contract passes, and whatever a broken one does is a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.contract import Inversion, stage
from bench.core.errors import UsageError
from methods.conformance import check, tensors_of


@dataclass(frozen=True)
class Shifted(Inversion):
    """Codes and offsets by name, in a mapping that is no dict."""

    offsets: Mapping[str, Tensor]


class Tiny:
    """The smallest method there is: codes are three numbers an image, the image is their mean colour."""

    name, domain = "tiny", "faces"
    input_size = output_size = (8, 8)
    latent_rows, stages = 1, ("encode", "synthesise")

    def invert(self, images: Tensor) -> Inversion:
        if tuple(images.shape[1:]) != (3, 8, 8):
            raise UsageError(f"images have shape {tuple(images.shape)}, expected (N, 3, 8, 8)")
        with stage("encode"):
            offsets = MappingProxyType({"red": images[:, 0].mean((1, 2))})
            return Shifted(images.mean((2, 3))[:, None], offsets)

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        assert isinstance(inversion, Shifted)
        with stage("synthesise"):
            codes = inversion.codes if delta is None else inversion.codes + delta
            image = codes[:, 0, :, None, None].expand(-1, 3, 8, 8).clone()
            return image + inversion.offsets["red"][:, None, None, None]


def failed(method: Any) -> dict[str, str]:
    findings = check(method)
    assert len(findings) == 10
    return {finding.check: finding.detail for finding in findings if not finding.ok}


def test_a_method_that_keeps_the_contract_passes() -> None:
    assert failed(Tiny()) == {}


def test_every_mapping_of_an_inversion_is_looked_into() -> None:
    inversion = Shifted(torch.zeros(2, 1, 3), MappingProxyType({"a": torch.ones(2), "b": torch.ones(2)}))
    assert len(list(tensors_of(inversion))) == 3


class ChangesItsInversion(Tiny):
    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        assert isinstance(inversion, Shifted)
        inversion.offsets["red"].add_(0.5)
        return super().edit(inversion, delta)


def test_a_change_inside_a_mapping_is_found() -> None:
    assert "inversion unchanged by an edit: False" in failed(ChangesItsInversion())["invert once"]


class CannotInvert(Tiny):
    def invert(self, images: Tensor) -> Inversion:
        raise ZeroDivisionError("no encoder")


class CannotEdit(Tiny):
    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        raise KeyError("layer")


class HasNoSize(Tiny):
    input_size = property(lambda self: {}["size"])  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("method", "passes", "said"),
    [
        (CannotInvert(), {"attributes"}, "ZeroDivisionError: no encoder"),
        (CannotEdit(), {"attributes", "inputs"}, "KeyError: 'layer'"),
        (HasNoSize(), set(), "KeyError: 'size'"),
        (object(), set(), "AttributeError"),
    ],
)
def test_a_check_that_raises_is_a_finding(method: Any, passes: set[str], said: str) -> None:
    found = failed(method)
    assert {finding.check for finding in check(method) if finding.ok} == passes
    assert said in found["shapes"]
