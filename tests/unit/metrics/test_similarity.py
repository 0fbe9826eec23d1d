"""SSIM, MS-SSIM, MSE and PSNR against reference values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.columns import Undefined
from metrics.similarity import _SCALES, _guessed_range, lineage_ssim, ms_ssim, mse, psnr, ssim
from tests.unit.metrics.pairs import NAMES, pair
from tests.unit.metrics.reference import reference, u8

PAIRS = reference("ssim")["pairs"]
VARIANTS = {
    "skimage_{}_uniform7": {"window": "uniform"},
    "skimage_{}_uniform7_population_cov": {"window": "uniform", "sample_covariance": False},
    "skimage_{}_gauss11": {"window": "gaussian"},
}


def hwc(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image.transpose(1, 2, 0))


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
    assert mse(hwc(u8(a)), hwc(u8(b))) == pytest.approx(expected["mse_pm1"], rel=0.01, abs=1e-9)
    peak = expected["psnr_u8"]
    assert psnr(hwc(u8(a)), hwc(u8(b))) == pytest.approx(100 if peak is None else peak, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_scikit_image_ssim(name: str) -> None:
    a, b = pair(name)
    for key, options in VARIANTS.items():
        bytes_ = ssim(hwc(u8(a)), hwc(u8(b)), **options)
        assert bytes_ == pytest.approx(PAIRS[name][key.format("u8")], abs=1e-6), key
        floats = ssim(hwc(a).astype(np.float64), hwc(b).astype(np.float64), data_range=2, **options)
        assert floats == pytest.approx(PAIRS[name][key.format("f")], abs=1e-6), key


@pytest.mark.parametrize("name", NAMES)
def test_ssim_of_luma(name: str) -> None:
    a, b = (hwc(u8(image)) @ np.array([0.299, 0.587, 0.114]) for image in pair(name))
    assert ssim(a, b) == pytest.approx(PAIRS[name]["skimage_u8_gauss11_luma"], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_lineage_ssim(name: str) -> None:
    a, b = (torch.from_numpy(image) for image in pair(name))
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
    from_bytes = [torch.from_numpy((u8(image) / 255 * 2 - 1).astype(np.float32)) for image in (a, b)]
    a, b = torch.from_numpy(a), torch.from_numpy(b)
    for key, first, second, length in (
        ("lineage_msssim_auto_range", a, b, None),
        ("lineage_msssim_range2", a, b, 2.0),
        ("lineage_msssim_auto_range_u8", *from_bytes, None),
    ):
        expected = PAIRS[name][key]
        if expected is None:
            with pytest.raises(Undefined, match="negative"):
                ms_ssim(first, second, length)
        else:
            assert ms_ssim(first, second, length) == pytest.approx(expected, abs=2e-5), key


@pytest.mark.parametrize("name", NAMES)
def test_the_range_guessed_at_each_scale_is_the_lineages(name: str) -> None:
    image = torch.from_numpy(pair(name)[0])
    guessed = []
    for _ in PAIRS[name]["auto_range_per_scale"]:
        guessed.append(_guessed_range(image))
        image = torch.nn.functional.avg_pool2d(image, 2)
    assert guessed == PAIRS[name]["auto_range_per_scale"]


def test_range_is_guessed_at_every_scale() -> None:
    """Small dark specks vanish in the pooled scales, and with them half of the lineage's range."""
    image = torch.full((3, 256, 256), 0.4)
    image[:, ::16, ::16] = -1
    other = image * 0.9
    assert float(image.min()) < -0.5 < float(torch.nn.functional.avg_pool2d(image, 4).min())
    assert ms_ssim(image, other) != pytest.approx(ms_ssim(image, other, 2.0), abs=1e-6)


def test_too_small_images_have_no_value() -> None:
    assert sum(_SCALES) == pytest.approx(1, abs=1e-3)
    with pytest.raises(Undefined):
        ms_ssim(torch.zeros(3, 64, 64), torch.zeros(3, 64, 64))
    with pytest.raises(Undefined):
        ssim(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8))
