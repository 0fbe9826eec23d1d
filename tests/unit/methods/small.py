"""Small networks of every kind and our checkpoints of them, for quick tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.core.checkpoint import write_safetensors
from methods.hyperstyle.network import HyperConfig, HyperNet, WEncoder
from methods.nets.configs import to_dict
from methods.nets.irse import IRSEConfig
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.resnet34 import ResNetConfig
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.restyle.network import RestyleConfig, restyle_encoder

GENERATOR = GeneratorConfig(size=64, style_dim=24, mapping_layers=2, channels={4: 16, 8: 16, 16: 16, 32: 12, 64: 8})
BACKBONE = IRSEConfig(widths=(16, 16, 24, 24), units=(1, 2, 2, 1), strides=(1, 2, 2, 2), reduction=8)
RESNET = ResNetConfig(widths=(8, 16, 16, 24), units=(1, 1, 1, 1))


def pyramid_config(wiring: Any = "deltas", rows: int = 10) -> PyramidConfig:
    return PyramidConfig(
        backbone=BACKBONE,
        rows=rows,
        style_dim=24,
        wiring=wiring,
        middle=5,
        depths=PyramidConfig.depths_for(BACKBONE, 64),
    )


def restyle_config(domain: str, wiring: Any) -> RestyleConfig:
    if domain == "cars":
        return RestyleConfig(irse=None, resnet=RESNET, rows=10, style_dim=24, wiring=wiring, depth=2, iterations=3)
    backbone = IRSEConfig(in_channels=6, widths=(16, 16, 16, 24), units=(1, 1, 1, 1), reduction=8)
    return RestyleConfig(irse=backbone, rows=10, style_dim=24, wiring=wiring, depth=2, iterations=3)


HYPER = HyperConfig(resnet=ResNetConfig(widths=(8, 8, 8, 16), units=(1, 1, 1, 1)), w_encoder=BACKBONE, shared_width=8,
                    own_width=8, iterations=2)  # fmt: skip


def seeded(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights of a seeded stream that keep activations of order one; running statistics off their defaults too."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("kernel") or not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=random)
            if name.endswith("running_var"):
                value.copy_(1 + 0.2 * noise.abs())
            elif value.ndim == 1:
                value.copy_(0.1 * noise + (1.0 if name.endswith("weight") and value.numel() > 1 else 0.0))
            elif isinstance(network, Generator) or "linear" in name:
                value.copy_(noise)
            else:
                value.copy_(noise / value[0].numel() ** 0.5)
    return network


def tensors_of(networks: Mapping[str, nn.Module], style_dim: int = 24) -> dict[str, torch.Tensor]:
    tensors = {f"{prefix}.{name}": v for prefix, net in networks.items() for name, v in net.state_dict().items()}
    return {**tensors, "latent_avg": 0.3 * torch.randn(style_dim, generator=torch.Generator().manual_seed(9))}


def write_small(folder: Path, method: str, domain: str) -> Path:
    """One of our checkpoints of a small method: e4e, psp, restyle, restyle-psp or hyperstyle."""
    config: dict[str, Any] = {"generator": to_dict(GENERATOR)}
    generator = seeded(Generator(GENERATOR), 1)
    networks: dict[str, nn.Module]
    wiring = "rows" if "psp" in method else "deltas"
    if method in ("e4e", "psp"):
        sizes = pyramid_config(wiring)
        config["encoder"] = to_dict(sizes)
        networks = {"encoder": seeded(PyramidEncoder(sizes)), "decoder": generator}
    elif method.startswith("restyle"):
        steps = restyle_config(domain, wiring)
        config["encoder"] = to_dict(steps)
        networks = {"encoder": seeded(restyle_encoder(steps)), "decoder": generator}
    else:
        config["hyper"] = to_dict(HYPER)
        networks = {
            "encoder": seeded(WEncoder(BACKBONE, 24)),
            "hypernet": seeded(HyperNet(HYPER, GENERATOR, 64), 2),
            "decoder": generator,
        }
    path = folder / f"{method}-{domain}.safetensors"
    metadata = {"method": method, "domain": domain, "config": config}
    write_safetensors(path, tensors_of(networks), metadata)
    return path


def nvidia_layout(generator: Generator) -> dict[str, torch.Tensor]:
    """A generator's tensors under NVIDIA's names and shapes, the way back of `generator_tensors`."""
    state, out = generator.state_dict(), dict[str, torch.Tensor]()
    for number in range(generator.config.layers):
        size = generator.config.layer_size(number)
        ours = "conv1" if number == 0 else f"convs.{number - 1}"
        conv = f"synthesis.b{size}.conv{1 - number % 2}"
        out[f"{conv}.weight"] = state[f"{ours}.conv.weight"][0]
        out[f"{conv}.bias"] = state[f"{ours}.activate.bias"]
        out[f"{conv}.noise_strength"] = state[f"{ours}.noise.weight"][0]
        out[f"{conv}.noise_const"] = state[f"noises.noise_{number}"][0, 0]
        out[f"{conv}.resample_filter"] = generator.convs[0].conv.blur.kernel / 4  # type: ignore[union-attr]
        for tensor in ("weight", "bias"):
            out[f"{conv}.affine.{tensor}"] = state[f"{ours}.conv.modulation.{tensor}"]
    for power in range(2, generator.config.log_size + 1):
        ours = "to_rgb1" if power == 2 else f"to_rgbs.{power - 3}"
        rgb = f"synthesis.b{2**power}.torgb"
        out[f"synthesis.b{2**power}.resample_filter"] = generator.convs[0].conv.blur.kernel / 4  # type: ignore[union-attr]
        out[f"{rgb}.weight"], out[f"{rgb}.bias"] = state[f"{ours}.conv.weight"][0], state[f"{ours}.bias"].flatten()
        for tensor in ("weight", "bias"):
            out[f"{rgb}.affine.{tensor}"] = state[f"{ours}.conv.modulation.{tensor}"]
    for layer in range(generator.config.mapping_layers):
        for tensor in ("weight", "bias"):
            out[f"mapping.fc{layer}.{tensor}"] = state[f"style.{layer + 1}.{tensor}"]
    out["synthesis.b4.const"], out["mapping.w_avg"] = state["input.input"][0], torch.zeros(generator.config.style_dim)
    return out
