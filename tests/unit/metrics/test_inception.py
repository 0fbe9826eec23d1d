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

from bench.core.errors import MissingError
from metrics.extractors.inception import ImageNetInception, fidelity_inception, load_extractor
from metrics.frechet import frechet_distance
from tests.filling import golden_image
from tests.unit.metrics.reference import arrays, images_u8, inception_tensors, reference, u8

Weights = Callable[[str], Path]
EXPECTED = arrays("inception")


def batch(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="module")
def imagenet(weights: Weights) -> torch.nn.Module:
    return load_extractor("stargan2", weights("inception-imagenet"))


@pytest.fixture(scope="module")
def pytorch_fid(weights: Weights) -> torch.nn.Module:
    return load_extractor("pytorch_fid", weights("inception-fid"))


def close(measured: np.ndarray, expected: np.ndarray) -> bool:
    return float(np.abs(measured - expected).max()) <= 2e-4 * float(expected.std())


@torch.inference_mode()
def test_imagenet_features(imagenet: ImageNetInception) -> None:
    images = batch(images_u8(0, 2, 256))
    prepared = imagenet.prepare(images)[:, :, 100:116, 100:116].numpy()
    np.testing.assert_allclose(prepared, EXPECTED["tv_input_crop"], atol=1e-6)
    features = imagenet(images)[0].numpy()
    assert close(features, EXPECTED["tv_features"])
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), EXPECTED["tv_pool_norm"], rtol=1e-4)
    # With the network's own input re-mapping, which the recipe loses, they would be others.
    assert not close(features, EXPECTED["tv_features_with_transform_input"])


@torch.inference_mode()
def test_input_re_mapping_gives_the_control_values(imagenet: ImageNetInception) -> None:
    """What the recipe must not do: torchvision's `transform_input` on top of ImageNet normalisation."""
    x = imagenet.prepare(batch(images_u8(0, 2, 256)))
    std, mean = (x.new_tensor(v).view(1, 3, 1, 1) for v in ((0.229, 0.224, 0.225), (0.485, 0.456, 0.406)))
    features = imagenet.blocks(x * (std / 0.5) + (mean - 0.5) / 0.5).flatten(1).numpy()
    assert close(features, EXPECTED["tv_features_with_transform_input"])


@torch.inference_mode()
def test_fidelity_features(weights: Weights) -> None:
    layers = ["64", "192", "768", "2048"]
    features = fidelity_inception(weights("inception-fid"), layers)(batch(images_u8(0, 2, 256)))
    for layer, feature in zip(layers, features, strict=True):
        assert close(feature.numpy(), EXPECTED[f"tf_features_{layer}"]), layer


@torch.inference_mode()
def test_features_of_other_packages(weights: Weights, pytorch_fid: torch.nn.Module) -> None:
    images = batch(images_u8(0, 2, 256))
    assert close(pytorch_fid(images)[0].numpy(), EXPECTED["pf_features"])
    clean = load_extractor("clean_fid", weights("inception-fid"))(images)[0].numpy()
    assert close(clean, EXPECTED["clean_features"])
    # The recipes can be told apart.
    assert not close(clean, EXPECTED["pf_features"])
    assert not close(clean, EXPECTED["tf_features_2048"])


def test_resizes() -> None:
    big = Image.fromarray(images_u8(3, 1, 1024)[0])
    for name, method in (("bicubic", Image.Resampling.BICUBIC), ("bilinear", Image.Resampling.BILINEAR)):
        small = np.asarray(big.resize((256, 256), method))
        assert np.array_equal(small[64:96, 64:96], EXPECTED[f"resize_1024_256_{name}_crop"])
        assert int(small.sum()) == int(EXPECTED[f"resize_1024_256_{name}_sum"])
    large = np.asarray(Image.fromarray(images_u8(0, 2, 256)[0]).resize((299, 299), Image.Resampling.BILINEAR))
    assert np.array_equal(large[100:132, 100:132], EXPECTED["resize_256_299_bilinear_crop"])
    assert int(large.sum()) == int(EXPECTED["resize_256_299_bilinear_sum"])


@cache
def sets() -> dict[str, list[np.ndarray]]:
    shifted = np.clip(0.9 * golden_image(11, 10, 256).numpy() + 0.05, -1, 1)
    return {
        "real": images_u8(10, 12, 256),
        "fake": [u8(image).transpose(1, 2, 0).copy() for image in shifted],
        "512": images_u8(12, 4, 512),
    }


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["stargan2", "pytorch_fid"])
@torch.inference_mode()
def test_whole_fid(recipe: str, request: pytest.FixtureRequest) -> None:
    network = request.getfixturevalue("imagenet" if recipe == "stargan2" else recipe)
    expected = reference("fid_pipeline")
    features = {}
    for name, images in sets().items():
        assert sum(int(image.sum()) for image in images) == expected["sums"][name]
        parts = [network(batch(images[i : i + 4]))[0] for i in range(0, len(images), 4)]
        features[name] = torch.cat(parts).numpy()
        mean = float(features[name].mean(dtype=np.float64))
        assert mean == pytest.approx(expected[recipe][f"feature_mean_{name}"], rel=1e-5)
    for other in ("fake", "512", "real"):
        value = frechet_distance(features["real"], features[other])
        assert value == pytest.approx(expected[recipe][f"fid_real_{other}"], rel=1e-3, abs=1e-6)


def test_registered_with_torch_fidelity(weights: Weights) -> None:
    """The extractor is made by the library's own call."""
    from torch_fidelity.utils import create_feature_extractor

    made = create_feature_extractor(
        "inception-v3-imagenet-stargan2",
        ["2048"],
        cuda=False,
        feature_extractor_weights_path=str(weights("inception-imagenet")),
        verbose=False,
    )
    assert isinstance(made, ImageNetInception)
    assert made.get_default_feature_layer_for_metric("fid") == "2048"
    with pytest.raises(ValueError, match="never downloads"):
        ImageNetInception("inception-v3-imagenet-stargan2", ["2048"])


def test_unused_parts_of_the_file_may_be_there(tmp_path: Path) -> None:
    tensors = inception_tensors() | {"fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1000)}
    torch.save(tensors, tmp_path / "full.pth")
    load_extractor("stargan2", tmp_path / "full.pth")


def test_wrong_file_is_named(tmp_path: Path) -> None:
    tensors = inception_tensors()
    del tensors["Mixed_6b.branch7x7_1.conv.weight"]
    torch.save(tensors, tmp_path / "cut.pth")
    with pytest.raises(MissingError, match=r"Mixed_6b\.branch7x7_1\.conv\.weight"):
        load_extractor("stargan2", tmp_path / "cut.pth")
    torch.save({"AuxLogits.fc.weight": torch.zeros(1), **inception_tensors()}, tmp_path / "other.pth")
    with pytest.raises(MissingError, match="FID Inception"):
        fidelity_inception(tmp_path / "other.pth")
