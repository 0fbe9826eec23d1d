"""Inception features and whole FIDs against reference values: both extractors, both recipes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bench.errors import MissingError
from metrics.extractors.inception import IMAGENET_NAME, ImageNetInception, fidelity_inception
from metrics.frechet import frechet_distance
from tests.filling import golden_image
from tests.unit.metrics.reference import arrays, inception_tensors, pictures_u8, reference, u8

Weights = Callable[[str], Path]
EXPECTED = arrays("inception")


def batch(pictures: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def imagenet(weights: Weights) -> ImageNetInception:
    return ImageNetInception(IMAGENET_NAME, ["2048"], weights("inception-imagenet"))


@pytest.fixture(scope="module")
def fid_graph(weights: Weights) -> torch.nn.Module:
    return fidelity_inception(weights("inception-fid"))


def close(measured: np.ndarray, expected: np.ndarray) -> bool:
    return float(np.abs(measured - expected).max()) <= 2e-4 * float(expected.std())


@torch.inference_mode()
def test_imagenet_features(imagenet: ImageNetInception) -> None:
    pictures = batch(pictures_u8(0, 2, 256))
    prepared = imagenet.prepare(pictures)[:, :, 100:116, 100:116].numpy()
    np.testing.assert_allclose(prepared, EXPECTED["tv_input_crop"], atol=1e-6)
    features = imagenet(pictures)[0].numpy()
    assert close(features, EXPECTED["tv_features"])
    # With the network's own input re-mapping, which the recipe loses, they would be others.
    assert not close(features, EXPECTED["tv_features_with_transform_input"])


@torch.inference_mode()
def test_fidelity_features(fid_graph: torch.nn.Module) -> None:
    features = fid_graph(batch(pictures_u8(0, 2, 256)))[0].numpy()
    assert close(features, EXPECTED["tf_features_2048"])
    assert not close(features, EXPECTED["pf_features"])
    assert not close(features, EXPECTED["clean_features"])


def test_resizes() -> None:
    big = Image.fromarray(pictures_u8(3, 1, 1024)[0])
    bicubic = np.asarray(big.resize((256, 256), Image.Resampling.BICUBIC))
    assert np.array_equal(bicubic[64:96, 64:96], EXPECTED["resize_1024_256_bicubic_crop"])
    assert int(bicubic.sum()) == int(EXPECTED["resize_1024_256_bicubic_sum"])
    small = Image.fromarray(pictures_u8(0, 2, 256)[0]).resize((299, 299), Image.Resampling.BILINEAR)
    assert np.array_equal(np.asarray(small)[100:132, 100:132], EXPECTED["resize_256_299_bilinear_crop"])


@cache
def sets() -> dict[str, list[np.ndarray]]:
    shifted = np.clip(0.9 * golden_image(11, 10, 256).numpy() + 0.05, -1, 1)
    return {
        "real": pictures_u8(10, 12, 256),
        "fake": [u8(picture).transpose(1, 2, 0).copy() for picture in shifted],
        "512": pictures_u8(12, 4, 512),
    }


@torch.inference_mode()
def test_whole_fid_of_the_imagenet_recipe(imagenet: ImageNetInception) -> None:
    expected = reference("fid_pipeline")
    features = {}
    for name, pictures in sets().items():
        assert sum(int(picture.sum()) for picture in pictures) == expected["sums"][name]
        features[name] = torch.cat(
            [imagenet(batch(pictures[i : i + 4]))[0] for i in range(0, len(pictures), 4)]
        ).numpy()
        mean = float(features[name].mean(dtype=np.float64))
        assert mean == pytest.approx(expected["stargan2"][f"feature_mean_{name}"], rel=1e-5)
    for key, (a, b) in {
        "fid_real_fake": ("real", "fake"),
        "fid_real_512": ("real", "512"),
        "fid_real_real": ("real", "real"),
    }.items():
        value = frechet_distance(features[a], features[b])
        assert value == pytest.approx(expected["stargan2"][key], rel=1e-3, abs=1e-6)


@torch.inference_mode()
def test_whole_fid_of_the_other_recipe(fid_graph: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch-fidelity's graph under pytorch-fid's resize (bilinear without corners aligned) gives pytorch-fid's
    numbers.
    """
    import torch_fidelity.feature_extractor_inceptionv3 as module

    def resize(x: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
        # pytorch-fid scales 2v - 1 with v in [0, 1]; the graph here subtracts 128 and divides by 128 afterwards.
        return F.interpolate(x / 255, size=size, mode="bilinear", align_corners=False) * 256

    monkeypatch.setattr(module, "interpolate_bilinear_2d_like_tensorflow1x", resize)
    expected = reference("fid_pipeline")["pytorch_fid"]
    features = {}
    for name in ("real", "512"):
        pictures = sets()[name]
        features[name] = torch.cat(
            [fid_graph(batch(pictures[i : i + 4]))[0] for i in range(0, len(pictures), 4)]
        ).numpy()
        assert float(features[name].mean(dtype=np.float64)) == pytest.approx(expected[f"feature_mean_{name}"], rel=1e-5)
    value = frechet_distance(features["real"], features["512"])
    assert value == pytest.approx(expected["fid_real_512"], rel=1e-3)


def test_registered_with_torch_fidelity(weights: Weights) -> None:
    """The extractor works through the library's own interface, and both agree on the FID (its route is less exact)."""
    from torch_fidelity.utils import create_feature_extractor

    made = create_feature_extractor(
        IMAGENET_NAME,
        ["2048"],
        cuda=False,
        feature_extractor_weights_path=str(weights("inception-imagenet")),
        verbose=False,
    )
    assert isinstance(made, ImageNetInception)
    assert made.get_default_feature_layer_for_metric("fid") == "2048"
    with pytest.raises(ValueError, match="never downloads"):
        ImageNetInception(IMAGENET_NAME, ["2048"])


def test_unused_parts_of_the_file_may_be_there(tmp_path: Path) -> None:
    tensors = inception_tensors() | {"fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}
    torch.save(tensors, tmp_path / "full.pth")
    ImageNetInception(IMAGENET_NAME, ["2048"], tmp_path / "full.pth")


def test_wrong_file_is_named(tmp_path: Path) -> None:
    tensors = inception_tensors()
    del tensors["Mixed_6b.branch7x7_1.conv.weight"]
    torch.save(tensors, tmp_path / "cut.pth")
    with pytest.raises(MissingError, match=r"Mixed_6b\.branch7x7_1\.conv\.weight"):
        ImageNetInception(IMAGENET_NAME, ["2048"], tmp_path / "cut.pth")
    torch.save({"AuxLogits.fc.weight": torch.zeros(1), **inception_tensors()}, tmp_path / "other.pth")
    with pytest.raises(MissingError, match="FID Inception"):
        fidelity_inception(tmp_path / "other.pth")
