"""LPIPS against reference values, and against the package's own forward pass; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.core.errors import MissingError
from metrics.perceptual import BACKBONES, Perceptual, load_perceptual
from tests.unit.metrics.pairs import pair
from tests.unit.metrics.reference import lpips_tensors, reference

NETS = reference("lpips")["nets"]


@cache
def network(net: str, linear: str) -> Perceptual:
    tensors = lpips_tensors(net)
    made = Perceptual(net, tensors)
    if linear == "filled_lin":
        for index, layer in enumerate(made.layers):
            layer.model[1].weight.data = tensors[f"lin{index}.model.1.weight"]
    return made


@cache
@torch.inference_mode()
def maps(net: str, name: str, side: int, scale: float = 1, shift: float = 0) -> list[Tensor]:
    """Features of one image of a pair; the linear layers play no part in them."""
    # The first image of these pairs is the same one.
    name = "mild" if side == 0 and name in ("mild", "noisy", "unrelated") else name
    return network(net, "packaged_lin_v0.1").features(torch.from_numpy(pair(name)[side])[None] * scale + shift)


@torch.inference_mode()
def distances(net: str, linear: str, name: str, scale: float = 1, shift: float = 0) -> Tensor:
    return network(net, linear).distance(maps(net, name, 0, scale, shift), maps(net, name, 1, scale, shift))[:, 0]


@pytest.mark.parametrize("name", ["mild", "noisy", "unrelated", "dark_shift"])
@pytest.mark.parametrize("net", sorted(NETS))
def test_reference(net: str, name: str) -> None:
    for linear, (total, layers) in NETS[net]["values"][name].items():
        each = distances(net, linear, name)
        assert each.tolist() == pytest.approx(layers, rel=1e-5), linear
        assert float(each.sum()) == pytest.approx(total, rel=1e-5), linear


def test_every_reference_pair_is_tested() -> None:
    assert set(NETS["alex"]["values"]["mild"]) == {"filled_lin", "packaged_lin_v0.1"}
    controls = {"control_wrong_range_mild", "packaged_lin_sums"}
    assert all(set(NETS[net]["values"]) == {"mild", "noisy", "unrelated", "dark_shift"} | controls for net in NETS)


@pytest.mark.parametrize("net", sorted(NETS))
def test_packaged_linear_layers_are_those_of_version_0_1(net: str) -> None:
    expected = NETS[net]["values"]["packaged_lin_sums"]
    sums = [float(layer.model[1].weight.double().sum()) for layer in network(net, "packaged_lin_v0.1").layers]
    assert sums == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("net", sorted(NETS))
def test_wrong_range_would_be_seen(net: str) -> None:
    """The reference for [0, 1] inputs differs from the right one: the range is part of the metric."""
    expected = NETS[net]["values"]["control_wrong_range_mild"]
    wrong = [float(distances(net, linear, "mild", 0.5, 0.5).sum()) for linear in ("filled_lin", "packaged_lin_v0.1")]
    assert any(value == pytest.approx(expected, rel=1e-5) for value in wrong)
    right = [total for total, _ in NETS[net]["values"]["mild"].values()]
    assert all(value != pytest.approx(expected, rel=0.05) for value in right)


@torch.inference_mode()
def test_split_equals_the_package() -> None:
    whole = network("alex", "packaged_lin_v0.1").lpips(*(torch.from_numpy(image)[None] for image in pair("noisy")))
    assert float(distances("alex", "packaged_lin_v0.1", "noisy").sum()) == pytest.approx(float(whole), rel=1e-6)


def test_random_state_is_left_alone(weights: Callable[[str], Path]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_perceptual("alex", weights(BACKBONES["alex"]))
    assert torch.equal(torch.rand(1), expected)


def test_wrong_backbone_is_named(weights: Callable[[str], Path]) -> None:
    tensors = lpips_tensors("alex")
    del tensors["features.6.weight"]
    with pytest.raises(MissingError, match=r"features\.6\.weight"):
        Perceptual("alex", tensors, "alexnet.pth")
    with pytest.raises(MissingError, match="shape"):
        Perceptual("alex", {**lpips_tensors("alex"), "features.0.weight": torch.zeros(1)}, "alexnet.pth")
