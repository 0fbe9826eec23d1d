"""Blocks of the flow networks against plain formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.flow import local_correlation as local_correlation_module
from methods.nets.flow.correlation import Conv4d, mutual_matching
from methods.nets.flow.glunet import FlowConfig, Maps
from methods.nets.flow.local_correlation import local_correlation
from methods.nets.flow.network import FlowNet, build_head, estimate_flow
from methods.nets.flow.vgg_pyramid import PyramidConfig
from methods.nets.flow.warp import mapping_to_flow, pixel_grid, scale_flow, warp


def plain_local_correlation(target: Tensor, source: Tensor, radius: int) -> Tensor:
    height, width = target.shape[-2:]
    padded = F.pad(source, (radius,) * 4)
    side = 2 * radius + 1
    shifts = [(dy, dx) for dy in range(side) for dx in range(side)]
    return torch.stack([(target * padded[..., y : y + height, x : x + width]).mean(1) for y, x in shifts], dim=1)


@pytest.mark.parametrize("size", [(8, 8), (13, 21), (3, 5)])
@pytest.mark.parametrize("radius", [1, 4])
def test_local_correlation_is_the_plain_formula_forwards_and_backwards(size: tuple[int, int], radius: int) -> None:
    torch.manual_seed(0)
    results = []
    maps = [torch.randn(2, 6, *size, dtype=torch.float64) for _ in range(2)]
    weight = torch.randn(2, (2 * radius + 1) ** 2, *size, dtype=torch.float64)
    for correlate in (local_correlation, plain_local_correlation):
        target, source = (map_.clone().requires_grad_() for map_ in maps)
        costs = correlate(target, source, radius)
        (costs * weight).sum().backward()
        results.append((costs.detach(), target.grad, source.grad))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_local_correlation_is_the_same_however_many_images_fit_a_cache(
    order: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = torch.Generator().manual_seed(0)
    maps = [torch.randn(5, 6, 13, 9, generator=random).contiguous(memory_format=order) for _ in range(2)]
    seen = []
    for cached in (1, 3 * 4 * 4 * 8**4, 1 << 30):  # one image at a time; three, then two; all
        monkeypatch.setattr(local_correlation_module, "_CACHED", cached)
        target, source = (map_.clone().requires_grad_() for map_ in maps)
        costs = local_correlation(target, source)
        assert costs.is_contiguous(memory_format=order)
        costs.square().sum().backward()
        seen.append((costs.detach(), target.grad, source.grad))
    for some in seen[:-1]:
        for one, other in zip(some, seen[-1], strict=True):
            torch.testing.assert_close(one, other)


def test_local_correlation_names_neighbours_in_rows() -> None:
    source = torch.zeros(1, 1, 9, 9)
    source[0, 0, 5, 3] = 1.0
    costs = local_correlation(torch.ones(1, 1, 9, 9), source)
    dy, dx = 5 - 4, 3 - 4
    assert costs[0, (dy + 4) * 9 + (dx + 4), 4, 4] == 1.0
    assert costs.sum() == 8 * 8  # positions within four cells of it: rows 1..8, columns 0..7


def test_four_dimensional_convolution_is_the_plain_sum() -> None:
    torch.manual_seed(1)
    layer = Conv4d(2, 3).double()
    x = torch.randn(1, 2, 3, 4, 3, 2, dtype=torch.float64)
    padded = F.pad(x, (1,) * 8)
    expected = torch.zeros(1, 3, *x.shape[2:], dtype=torch.float64)
    for a in range(3):
        for b in range(3):
            for c in range(3):
                for d in range(3):
                    piece = padded[:, :, a : a + 3, b : b + 4, c : c + 3, d : d + 2]
                    expected += torch.einsum("nihklm,oi->nohklm", piece, layer.weight[a, :, :, b, c, d])
    torch.testing.assert_close(layer(x), expected + layer.bias[:, None, None, None, None])


def test_mutual_matching_keeps_the_best_both_ways() -> None:
    costs = torch.tensor([[0.9, 0.2], [0.3, 0.8]]).reshape(1, 1, 1, 2, 1, 2)
    kept = mutual_matching(costs).reshape(2, 2)
    torch.testing.assert_close(kept.diagonal(), torch.tensor([0.9, 0.8]), atol=1e-4, rtol=0)
    assert kept[0, 1] == pytest.approx(0.2 * (0.2 / 0.8) * (0.2 / 0.9), abs=1e-4)


def test_zero_flow_is_the_identity_and_one_cell_is_the_right_neighbour() -> None:
    features = torch.randn(1, 3, 7, 11)
    flow = torch.zeros(1, 2, 7, 11)
    torch.testing.assert_close(warp(features, flow), features, atol=5e-7, rtol=5e-7)
    flow[:, 0] = 1.0
    moved = warp(features, flow)
    torch.testing.assert_close(moved[..., :-1], features[..., 1:], atol=1e-5, rtol=0)
    assert moved[..., -1].abs().max() < 1e-5


def test_mapping_of_the_identity_is_no_flow() -> None:
    grid = pixel_grid(torch.zeros(1, 2, 5, 9))
    span = torch.tensor((8.0, 4.0))[:, None, None]
    assert mapping_to_flow((2 * grid / span - 1)[None]).abs().max() < 1e-6


def test_scaling_tells_x_from_y() -> None:
    scaled = scale_flow(torch.ones(1, 2, 1, 1), 2.0, 3.0)
    assert scaled.flatten().tolist() == [2.0, 3.0]


SMALL = PyramidConfig(widths=((4,), (6,), (8,), (10,)))


def small_config(kind: str) -> FlowConfig:
    return FlowConfig(
        kind=kind,  # type: ignore[arg-type]
        picture=64,
        grid=8,
        channels=SMALL.channels,
        decoder_widths=(16, 16, 12, 8, 8),
        refine_widths=(16, 16, 16, 12, 8, 8),
    )


@pytest.mark.parametrize("kind", ["warpc_glunet", "warpc_semantic_glunet"])
def test_small_flow_network_runs_at_its_sizes_and_trains(kind: str) -> None:
    torch.manual_seed(2)
    network = FlowNet(small_config(kind), SMALL)
    flows = network(torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64))
    assert [tuple(flow.shape[2:]) for flow in flows] == [(8, 8), (16, 16), (16, 16), (32, 32)]
    flows.flow1.abs().mean().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None]
    assert not silent


def test_same_size_images_share_the_pyramid() -> None:
    torch.manual_seed(3)
    network = FlowNet(small_config("warpc_glunet"), SMALL).eval()
    pair = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(*pair).flow1, network(*pair, small=pair).flow1)


@pytest.mark.parametrize("kind", ["warpc_glunet", "warpc_semantic_glunet"])
def test_flows_keep_full_precision_under_autocast(kind: str) -> None:
    torch.manual_seed(5)
    network = FlowNet(small_config(kind), SMALL).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        flows = network(*torch.randn(2, 1, 3, 64, 64))
    assert {flow.dtype for flow in flows} == {torch.float32}


def test_half_precision_features_move_by_full_precision_positions() -> None:
    features = torch.arange(64.0).expand(1, 1, 64, 64)
    flow = torch.full((1, 2, 64, 64), 0.25)
    moved = warp(features.bfloat16(), flow)
    assert moved.dtype == torch.bfloat16
    torch.testing.assert_close(moved[..., :-1, :3].float(), features[..., :-1, :3] + 0.25, atol=0.01, rtol=0)


@pytest.mark.parametrize("size", [(64, 64), (96, 128), (50, 70), (64, 512)])
def test_estimate_flow_answers_at_the_size_asked(size: tuple[int, int]) -> None:
    torch.manual_seed(4)
    network = FlowNet(small_config("warpc_glunet"), SMALL).eval()
    with torch.no_grad():
        flow = estimate_flow(network, *(torch.rand(2, 1, 3, *size) * 255))
    assert flow.shape == (1, 2, *size) and bool(torch.isfinite(flow).all())


def test_semantic_head_sees_three_maps_at_the_middle_level() -> None:
    head = build_head(small_config("warpc_semantic_glunet"))
    maps = Maps(torch.randn(1, 10, 8, 8), torch.randn(1, 8, 16, 16), torch.randn(1, 6, 32, 32))
    assert head.middle_maps(maps).shape == (1, 8 + 10 + 10, 16, 16)
