"""SSIM, MS-SSIM, MSE and PSNR against reference values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metrics.columns import Batch, Resources, Undefined
from metrics.similarity import (
    _SCALES,
    Mse,
    MsSsim,
    Psnr,
    Ssim,
    _guessed_range,
    lineage_ssim,
    ms_ssim,
    mse,
    psnr,
    ssim,
)
from tests.unit.metrics.pairs import NAMES, pair
from tests.unit.metrics.reference import reference, u8

PAIRS = reference("ssim")["pairs"]
VARIANTS = {
    "skimage_{}_uniform7": {"window": "uniform"},
    "skimage_{}_uniform7_population_cov": {"window": "uniform", "sample_covariance": False},
    "skimage_{}_gauss11": {"window": "gaussian"},
}


def batch(image: np.ndarray) -> torch.Tensor:
    """(3, h, w) or (h, w) as a batch of one."""
    return torch.from_numpy(np.ascontiguousarray(image)).reshape(1, -1, *image.shape[-2:])


def test_every_reference_pair_is_tested() -> None:
    assert set(NAMES) == set(PAIRS)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_and_pixel_metrics(name: str) -> None:
    a, b = pair(name)
    expected = PAIRS[name]
    assert int(u8(a).sum()) == expected["a_sum_u8"]
    assert int(u8(b).sum()) == expected["b_sum_u8"]
    assert float(a.sum(dtype=np.float64)) == pytest.approx(expected["a_sum_f"], rel=1e-9)
    assert float(b.sum(dtype=np.float64)) == pytest.approx(expected["b_sum_f"], rel=1e-9)
    assert float(((a.astype(np.float64) - b.astype(np.float64)) ** 2).mean()) == pytest.approx(
        expected["mse_pm1"], rel=1e-6
    )
    # On bytes the same number up to rounding of the images.
    assert float(mse(batch(u8(a)), batch(u8(b)))) == pytest.approx(expected["mse_pm1"], rel=0.01, abs=1e-9)
    peak = expected["psnr_u8"]
    assert float(psnr(batch(u8(a)), batch(u8(b)))) == pytest.approx(100 if peak is None else peak, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_scikit_image_ssim(name: str) -> None:
    a, b = pair(name)
    for key, options in VARIANTS.items():
        bytes_ = float(ssim(batch(u8(a)), batch(u8(b)), **options))
        assert bytes_ == pytest.approx(PAIRS[name][key.format("u8")], abs=1e-6), key
        floats = float(ssim(batch(a), batch(b), data_range=2, **options))
        assert floats == pytest.approx(PAIRS[name][key.format("f")], abs=1e-6), key


@pytest.mark.parametrize("name", NAMES)
def test_ssim_of_luma(name: str) -> None:
    a, b = (np.array([0.299, 0.587, 0.114]) @ u8(image).transpose(1, 0, 2) for image in pair(name))
    assert float(ssim(batch(a), batch(b))) == pytest.approx(PAIRS[name]["skimage_u8_gauss11_luma"], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_lineage_ssim(name: str) -> None:
    a, b = (batch(image) for image in pair(name))
    expected = PAIRS[name]
    assert float(lineage_ssim(a, b)[0]) == pytest.approx(expected["lineage_ssim_auto_range"], abs=2e-5)
    assert float(lineage_ssim(a, b, 2)[0]) == pytest.approx(expected["lineage_ssim_range2"], abs=2e-5)
    for full, contrast in expected["per_scale_ssim_cs_range2"]:
        measured = lineage_ssim(a, b, 2)
        assert float(measured[0]) == pytest.approx(full, abs=2e-5)
        assert float(measured[1]) == pytest.approx(contrast, abs=2e-5)
        a, b = torch.nn.functional.avg_pool2d(a, 2), torch.nn.functional.avg_pool2d(b, 2)


@pytest.mark.parametrize("name", NAMES)
def test_lineage_ms_ssim(name: str) -> None:
    a, b = pair(name)
    from_bytes = [batch((u8(image) / 255 * 2 - 1).astype(np.float32)) for image in (a, b)]
    a, b = batch(a), batch(b)
    for key, first, second, length in (
        ("lineage_msssim_auto_range", a, b, None),
        ("lineage_msssim_range2", a, b, 2.0),
        ("lineage_msssim_auto_range_u8", *from_bytes, None),
    ):
        expected = PAIRS[name][key]
        if expected is None:
            assert bool(ms_ssim(first, second, length).isnan()), key
        else:
            assert float(ms_ssim(first, second, length)) == pytest.approx(expected, abs=2e-5), key


@pytest.mark.parametrize("name", NAMES)
def test_the_range_guessed_at_each_scale_is_the_lineages(name: str) -> None:
    image = batch(pair(name)[0])
    guessed = []
    for _ in PAIRS[name]["auto_range_per_scale"]:
        guessed.append(float(_guessed_range(image)))
        image = torch.nn.functional.avg_pool2d(image, 2)
    assert guessed == PAIRS[name]["auto_range_per_scale"]


def test_range_is_guessed_at_every_scale() -> None:
    """Small dark specks vanish in the pooled scales, and with them half of the lineage's range."""
    image = torch.full((1, 3, 256, 256), 0.4)
    image[..., ::16, ::16] = -1
    other = image * 0.9
    assert float(image.min()) < -0.5 < float(torch.nn.functional.avg_pool2d(image, 4).min())
    assert float(ms_ssim(image, other)) != pytest.approx(float(ms_ssim(image, other, 2.0)), abs=1e-6)


def test_too_small_images_have_no_value() -> None:
    assert sum(_SCALES) == pytest.approx(1, abs=1e-3)
    with pytest.raises(Undefined):
        ms_ssim(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))
    with pytest.raises(Undefined):
        ssim(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_batches_are_the_reference_library_image_by_image() -> None:
    """SSIM and PSNR of scikit-image, on noise over a ramp, in bytes and at an odd size."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    random = np.random.default_rng(3)
    ramp = np.linspace(20, 220, 53)[None, None, :, None]
    a, b = (np.clip(ramp + random.normal(0, 12, (3, 37, 53, 3)), 0, 255).astype(np.uint8) for _ in range(2))
    one, other = (torch.from_numpy(images).permute(0, 3, 1, 2) for images in (a, b))
    for options, expected in (
        ({"window": "gaussian"}, {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}),
        ({"window": "uniform"}, {}),
    ):
        found = ssim(one, other, **options)
        reference = [structural_similarity(x, y, channel_axis=2, **expected) for x, y in zip(a, b, strict=True)]
        assert found.tolist() == pytest.approx(reference, abs=1e-9)
    assert psnr(one, other).tolist() == pytest.approx(
        [peak_signal_noise_ratio(x, y) for x, y in zip(a, b, strict=True)], rel=1e-12
    )
    assert mse(one, other).tolist() == pytest.approx(
        [float(np.mean((x / 127.5 - y / 127.5) ** 2)) for x, y in zip(a, b, strict=True)], rel=1e-12
    )


def test_squared_errors_are_exact() -> None:
    random = np.random.default_rng(4)
    for shape in ((2, 3, 5, 7), (1, 3, 256, 256), (1, 1, 300, 301)):
        a, b = random.integers(0, 256, (2, *shape))
        a[0, 0, 0], b[0, 0, 0] = 0, 255
        expected = ((a - b) ** 2).sum((1, 2, 3)) / a[0].size / 127.5**2
        assert mse(torch.from_numpy(a).byte(), torch.from_numpy(b).byte()).tolist() == expected.tolist()


@pytest.mark.parametrize("column", [Ssim("gaussian"), Ssim("uniform"), Psnr(), Mse(), MsSsim("guess"), MsSsim("two")])
@pytest.mark.parametrize("side", [5, 64, 192])
def test_an_image_and_itself_are_worth_what_an_equal_one_is(column: Any, side: int) -> None:
    resources = Resources("faces", torch.device("cpu"), lambda name: Path(name))
    pair = column.prepare(resources)
    pixels = np.random.default_rng(5).integers(0, 256, (side, side, 3), dtype=np.uint8)
    (image,) = resources.extractors[pair.features](Batch([pixels], torch.device("cpu")))
    assert pair.compare([image], [image]) == pair.compare([image], [image.clone()])
