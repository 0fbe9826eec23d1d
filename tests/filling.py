"""Reproducible checkpoints for tests: the fill rule, the manifests and the authors' file layouts.

A manifest lists every tensor of a released checkpoint by its official name with shape, dtype and fill. The same
manifest and
seed give bit-identical tensors on every machine, because NumPy freezes the stream of RandomState: each tensor draws
from its own stream, seeded with CRC32 of its name plus 7919 times the seed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.network_pickle import NetworkPickle

MANIFESTS = Path(__file__).parent / "parity" / "data" / "manifests"

_FFHQ = {"dataset_type": "ffhq_encode", "start_from_latent_avg": True}
_CARS = {"dataset_type": "cars_encode", "start_from_latent_avg": True}
_OPTIONS: dict[str, dict[str, Any]] = {
    "psp_ffhq": {**_FFHQ, "encoder_type": "GradualStyleEncoder", "output_size": 1024, "learn_in_w": False},
    "e4e_ffhq": {**_FFHQ, "encoder_type": "Encoder4Editing", "stylegan_size": 1024},
    "e4e_cars": {**_CARS, "encoder_type": "Encoder4Editing", "stylegan_size": 512},
    "hfgi_ffhq": {
        **_FFHQ,
        "encoder_type": "Encoder4Editing",
        "stylegan_size": 1024,
        "is_train": False,
        "distortion_scale": 0.15,
        "aug_rate": 0.9,
    },
    "style_transformer_ffhq": {**_FFHQ, "output_size": 1024},
    "style_transformer_cars": {**_CARS, "output_size": 512},
}


def stream(name: str, seed: int = 0) -> np.random.RandomState:
    """The random stream of a tensor."""
    return np.random.RandomState((zlib.crc32(name.encode()) + 7919 * seed) % 2**32)


def fill(name: str, shape: tuple[int, ...], rule: list[Any], seed: int = 0, dtype: str = "float32") -> np.ndarray:
    """Values of one tensor by ["normal", scale(, mean)], ["uniform", low, high], ["const", values], ["zeros"]."""
    kind, *numbers = rule
    if kind == "zeros":
        return np.zeros(shape, dtype)
    if kind == "ones":
        return np.ones(shape, dtype)
    if kind == "const":
        return np.asarray(numbers[0], dtype).reshape(shape)
    random = stream(name, seed)
    if kind == "uniform":
        return random.uniform(numbers[0], numbers[1], shape).astype(dtype)
    assert kind == "normal", kind
    return _normal(random, shape, numbers[0], numbers[1] if len(numbers) > 1 else 0.0, dtype)


def _normal(random: np.random.RandomState, shape: tuple[int, ...], scale: float, mean: float, dtype: str) -> np.ndarray:
    # In pieces: the stream does not depend on how it is cut, and float64 of a 134 M tensor would take 1 GB.
    values = np.empty(int(np.prod(shape, dtype=np.int64)), dtype)
    for start in range(0, values.size, 1 << 22):
        piece = values[start : start + (1 << 22)]
        piece[:] = mean + scale * random.standard_normal(piece.size)
    return values.reshape(shape)


def golden_image(seed: int = 0, n: int = 2, size: int = 256) -> torch.Tensor:
    """Smooth random images, float32 (n, 3, size, size) in [-1, 1]: 8x8 normal noise, bilinear to `size`, tanh."""
    coarse = stream("golden_image", seed).standard_normal((n, 3, 8, 8))
    grid = np.linspace(0, 7, size)
    low = np.clip(np.floor(grid).astype(int), 0, 6)
    part = grid - low
    rows = coarse[:, :, low] * (1 - part)[:, None] + coarse[:, :, low + 1] * part[:, None]
    image = rows[..., low] * (1 - part) + rows[..., low + 1] * part
    return torch.from_numpy(np.tanh(image).astype(np.float32))


@lru_cache(maxsize=4)
def manifest(name: str) -> Mapping[str, Any]:
    """The manifest of a checkpoint: {"name", "tensors": {name: {"shape", "dtype", "fill"}}, ...}."""
    with gzip.open(MANIFESTS / f"{name}.json.gz", "rt") as file:
        return json.load(file)


def tensors(name: str, seed: int = 0, prefix: str = "", *, quick: bool = False) -> dict[str, torch.Tensor]:
    """Filled tensors of a manifest whose names start with `prefix`; `quick` as `quick_fill`."""
    return dict(_quickly_filled(name, seed, prefix) if quick else _filled(name, seed, prefix))


def quick_fill(name: str, shape: tuple[int, ...], rule: list[Any], seed: int, dtype: str) -> torch.Tensor:
    """`fill` ten times as fast, of the same distribution and not of the same values: for clocks, not for goldens."""
    kind, *numbers = rule
    if kind not in ("normal", "uniform"):
        return torch.from_numpy(np.array(fill(name, shape, rule, seed, dtype)))
    random = torch.Generator().manual_seed(zlib.crc32(name.encode()) + 7919 * seed)
    values = torch.empty(shape)
    if kind == "uniform":
        return values.uniform_(numbers[0], numbers[1], generator=random)
    return values.normal_(numbers[1] if len(numbers) > 1 else 0.0, numbers[0], generator=random)


def _quickly_filled(name: str, seed: int, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    wanted = {key: spec for key, spec in manifest(name)["tensors"].items() if key.startswith(prefix)}
    with ThreadPoolExecutor() as threads:
        made = threads.map(
            lambda item: quick_fill(item[0], tuple(item[1]["shape"]), item[1]["fill"], seed, item[1]["dtype"]),
            wanted.items(),
        )
        yield from zip(wanted, made, strict=True)


def _filled(name: str, seed: int, prefix: str) -> Iterator[tuple[str, torch.Tensor]]:
    for key, spec in manifest(name)["tensors"].items():
        if key.startswith(prefix):
            yield key, torch.from_numpy(np.array(fill(key, tuple(spec["shape"]), spec["fill"], seed, spec["dtype"])))


def nested(values: dict[str, torch.Tensor], options: Any) -> dict[str, Any]:
    """The pSp family's layout: "state_dict", top-level "latent_avg", "opts"."""
    values = dict(values)
    content: dict[str, Any] = {"latent_avg": values.pop("latent_avg")} if "latent_avg" in values else {}
    content["state_dict"] = values
    if options is not None:
        content["opts"] = options
    return content


def contents(name: str, seed: int = 0, *, namespace: bool = False, quick: bool = False) -> dict[str, Any]:
    """File name -> content of the checkpoint(s) `name`, laid out as the authors' files.

    `namespace` stores "opts" as argparse.Namespace instead of a dict; `quick` as `quick_fill`.
    """
    listing = manifest(name)
    options: Any = _OPTIONS.get(name) or (listing.get("container_example") or {}).get("opts")
    if namespace and options is not None:
        options = argparse.Namespace(**options)
    values = tensors(name, seed, quick=quick)
    if name.startswith("stylegan2_discriminator"):
        return {f"{name}.pt": {"d": values}}
    if name.startswith("stylegan2_"):
        return {f"{name}.pt": {"latent_avg": values.pop("latent_avg"), "g_ema": values}}
    if name.startswith("styleres"):
        return {f"{name}.pth": _by_first_part(values)}
    if name.startswith("feature_style"):
        decoder = {key: values.pop(key) for key in list(values) if key.startswith("decoder.") or key == "latent_avg"}
        return {"143_enc.pth": values, "psp_ffhq_encode.pt": nested(decoder, _OPTIONS["psp_ffhq"])}
    if name.startswith("hyperstyle_") and "w_encoder" not in name:
        values |= {alias: values[target] for alias, target in listing.get("aliases", {}).items()}
        encoder = name.replace("hyperstyle", "hyperstyle_w_encoder")
        return {
            f"{name}.pt": nested(values, options),
            f"{name.replace('hyperstyle', 'w_encoder')}.pt": nested(tensors(encoder, seed, quick=quick), None),
        }
    if name.startswith("styleclip_mapper"):
        # Two containers of one mapper: StyleRes' slim copy, and StyleCLIP's training checkpoint without its generator.
        original = {f"mapper.{key}": value for key, value in values.items()}
        original["decoder.input.input"] = torch.zeros(1, 512, 4, 4)
        opts = (listing.get("container_example") or {})["opts"]
        return {f"{name}.pt": values, f"{name}_original.pt": {"state_dict": original, "opts": opts}}
    if name.startswith("sfe_"):
        return _sfe_files(values)
    if name.startswith("eg3d_"):
        return {f"{name}.pkl": NetworkPickle(values, listing)}
    if name.startswith("goae_"):
        own = {
            f"{part}_FFHQ.pt": {
                key.removeprefix(f"{part}."): value for key, value in values.items() if key.startswith(f"{part}.")
            }
            for part in ("encoder", "afa")
        }
        generator = NetworkPickle(tensors("eg3d_ffhq", seed), manifest("eg3d_ffhq"))
        return {**own, "ffhqrebalanced512-128.pkl": generator}
    if name.startswith("warpc_"):
        return {f"{name}.pth": {"state_dict": values}}
    if name == "nvidia_discriminator_256":
        return {f"{name}.pth": {"discriminator": values}}
    if name in ("curricularface", "arcface_irse50", "vgg16_keras"):
        return {f"{name}.pth": values}
    return {f"{name}.pt": nested(values, options)}


def _sfe_files(values: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """SFE's own file, the generator's and e4e's; "encoder." means another network in the last."""

    def part(head: str) -> dict[str, torch.Tensor]:
        return {name.removeprefix(head): value for name, value in values.items() if name.startswith(head)}

    own = {name: value for name, value in values.items() if name.startswith(("encoder.", "inverter."))}
    e4e = {f"encoder.{name}": value for name, value in part("e4e_encoder.").items()}
    average = values["latent_avg"]
    return {
        "sfe_editor_light.pt": {"state_dict": own},
        "stylegan2-ffhq-config-f.pt": {"g_ema": part("decoder."), "latent_avg": average},
        "e4e_ffhq_encode.pt": nested(e4e | {"latent_avg": average[None].repeat(18, 1)}, _OPTIONS["e4e_ffhq"]),
    }


def _by_first_part(values: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in values.items():
        head, _, rest = key.partition(".")
        if rest:
            content.setdefault(head, {})[rest] = value
        else:
            content[head] = value
    return content


def write(name: str, folder: Path, seed: int = 0, *, namespace: bool = False, quick: bool = False) -> list[Path]:
    """Write the checkpoint file(s) of `name` into `folder`; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file, content in contents(name, seed, namespace=namespace, quick=quick).items():
        if isinstance(content, NetworkPickle):
            content.write(folder / file)
        else:
            torch.save(content, folder / file)
        paths.append(folder / file)
    return paths
