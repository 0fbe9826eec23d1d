"""The flow networks and their blocks against the authors' code, every stored array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import read_checkpoint
from methods.nets.flow.correlation import (
    NeighbourhoodConsensus,
    global_correlation,
    l2_normalise,
    mutual_matching,
)
from methods.nets.flow.decoders import leaky, upsampler
from methods.nets.flow.glunet import Maps
from methods.nets.flow.local_correlation import local_correlation
from methods.nets.flow.network import FlowNet, estimate_flow, normalise
from methods.nets.flow.semantic_glunet import consensus_chain
from methods.nets.flow.warp import mapping_to_flow, resize_flow, scale_flow, warp
from methods.registry import Checkpoint
from methods.warpres.adapter import load_flow_net
from tests import filling
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity
KINDS = ("warpc_glunet", "warpc_semantic_glunet")
FLOWS = ("flow4_16", "flow3_32", "flow2_32", "flow1_64")
FEATURES = {"f16": (2, 512, 16, 16), "f32": (2, 256, 32, 32), "f64": (2, 128, 64, 64)}


def block(name: str) -> Tensor:
    return filling.tensors("flow_blocks", prefix=f"flow_block_{name}")[f"flow_block_{name}"]


def consensus() -> NeighbourhoodConsensus:
    module = NeighbourhoodConsensus()
    prefix = "NeighConsensus."
    module.load_state_dict(
        {name.removeprefix(prefix): value for name, value in filling.tensors("flow_blocks", prefix=prefix).items()}
    )
    return module


def block_outputs() -> dict[str, Tensor]:
    source, target = block("feat_source"), block("feat_target")
    costs = global_correlation(l2_normalise(target), l2_normalise(source))
    mutual = mutual_matching(costs.unflatten(1, source.shape[-2:])[:, None])
    six = block("corr6d")
    local = local_correlation(block("ref"), block("query"))
    x, flow = block("warp_x"), block("warp_flow")
    right = torch.zeros_like(flow)
    right[:, 0] = 1
    deconv = block("deconv_in")
    return {
        "l2norm_source": l2_normalise(source),
        "global_corr": costs,
        "global_corr_mutual": mutual,
        "global_corr_mutual_relu_l2": l2_normalise(F.relu(mutual[:, 0].flatten(1, 2))),
        "mutual_corr6d": mutual_matching(six),
        "conv4d_first_layer": consensus().conv[0](six),
        "neigh_consensus": consensus()(six),
        "consensus_chain_relu_l2": consensus_chain(six[:, 0].flatten(1, 2), (4, 5), consensus()),
        "local_corr": local,
        "local_corr_leaky": leaky(local),
        "warp": warp(x, flow),
        "warp_zero_flow": warp(x, torch.zeros_like(flow)),
        "warp_flow_x_plus1": warp(x, right),
        "mapping_to_flow": mapping_to_flow(block("map")),
        "bilinear_deconv_init": upsampler(2)(deconv),
        "resize_and_rescale_flow": scale_flow(
            resize_flow(deconv, (12, 20)), 20 / deconv.shape[-1], 12 / deconv.shape[-2]
        ),
        "area_resize_6x8": F.interpolate(block("area_in"), size=(6, 8), mode="area"),
    }


def test_blocks(comparison: Callable[..., Comparison]) -> None:
    expected = comparison("flow_blocks", method="flow")
    expected.check_all(block_outputs())
    assert not expected.unchecked()


Net = tuple[FlowNet, Comparison]


@pytest.fixture(scope="module", params=KINDS)
def network(
    request: pytest.FixtureRequest, filled: Callable[..., Any], comparison: Callable[..., Comparison]
) -> Iterator[Net]:
    with filled(request.param) as (path,):
        yield load_flow_net(Checkpoint(path, read_checkpoint(path))).eval(), comparison(request.param, method="flow")


def given_maps() -> tuple[Maps, Maps]:
    """Target and source maps of the golden's `feat_*` calls."""
    targets, sources = [], []
    for name, shape in FEATURES.items():
        first, second = (
            torch.from_numpy(filling.fill(f"flow_feat_{name}_{which}", shape, ["normal", 4.0]))
            for which in ("source", "target")
        )
        sources.append(F.relu(first))
        targets.append(F.relu(0.5 * first + 0.5 * second))
    return Maps(*targets), Maps(*sources)


def pair() -> tuple[Tensor, Tensor]:
    """Source and target images in [-1, 1]; the target is the source squeezed to 0.9 of its width and moved."""
    source = filling.golden_image(0, 2, 256)
    positions = np.clip(127.5 + (np.arange(256) - 127.5) * 0.9 + 6, 0, 255)
    left = np.clip(np.floor(positions).astype(int), 0, 254)
    part = positions - left
    rows = source.numpy().astype(np.float64)
    target = rows[..., left] * (1 - part) + rows[..., left + 1] * part
    return source, torch.from_numpy(target.astype(np.float32))


def close(actual: Tensor, expected: Comparison, name: str) -> None:
    """The golden's own rule for flows: largest deviation 2e-3, mean deviation 2e-4 pixels."""
    expected.check(name, actual)
    deviation = np.abs(actual.numpy() - expected.expected(name))
    assert deviation.mean() <= 2e-4, f"{expected.name}:{name} deviates by {deviation.mean()} on average"


def test_head_on_given_features(network: Net) -> None:
    net, expected = network
    flows = net.head(*given_maps())
    for name, flow in zip(FLOWS, flows, strict=True):
        close(flow, expected, f"feat_{name}")


def test_network_on_images(network: Net) -> None:
    net, expected = network
    source, target = (normalise(image) for image in pair())
    close(windows(pair()[1]), expected, "target_image_crop")
    maps = [net.pyramid(image) for image in (target, source)]
    for name, flow in zip(FLOWS, net.head(*maps), strict=True):
        close(flow, expected, name)
    costs = net.head.match(*(map_.coarse for map_ in maps))[:1, :, ::2, ::2]
    expected.check("corr4", costs, atol=1e-5)
    for which, levels in zip(("target", "source"), maps, strict=True):
        for size, level in zip((16, 32, 64), levels, strict=True):
            spread = float(expected.expected(f"vgg{size}_{which}_std"))
            pool = pooled(channel_groups(level, 32), 16)
            for stem, value in (("pool", pool), ("mean", level.mean()), ("std", level.std())):
                expected.check(f"vgg{size}_{which}_{stem}", value, atol=1e-4 * spread)


def test_full_size_estimate(network: Net) -> None:
    net, expected = network
    source, target = ((image + 1) * 127.5 for image in pair())
    flow = estimate_flow(net, source, target)
    close(pooled(flow), expected, "est256_pool")
    close(windows(flow), expected, "est256_crop")
    small = F.interpolate(flow, size=(64, 64), mode="bilinear", align_corners=False) / 4
    close(small, expected, "est256_down64_div4")
    close(flow.mean(), expected, "est256_mean")
    close(flow.std(), expected, "est256_std")


def test_every_array_was_compared(network: Net) -> None:
    _, expected = network
    if not expected.deviations:
        pytest.skip("the comparisons did not run")
    assert not expected.unchecked()


def test_wrapped_and_counterless_files_load(network: Net) -> None:
    net, expected = network
    tensors = {
        f"module.{name}": value
        for name, value in filling.tensors(expected.name).items()
        if not name.endswith("num_batches_tracked")
    }
    other = load_flow_net(Checkpoint(Path("wrapped.pth"), {"state_dict": tensors}))
    assert other.config.kind == expected.name
    for name, value in net.head.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, other.head.state_dict()[name])
