"""The cards' edits give the numbers of the authors' code on filled components and codes (identity_edits golden)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.edits.cards import find_card
from bench.edits.directions import load_direction
from tests.filling import fill

GOLDEN = np.load(Path(__file__).with_name("edits.npz"))
# Golden name -> (card, generator, column).
EDITS = {
    "smile_pc46": ("ganspace_smile", "ffhq-1024", "ganspace_smile"),
    "overexposed": ("overexposed", "ffhq-1024", "overexposed"),
    "beard": ("beard", "ffhq-1024", "beard"),
    "viewpoint_pos": ("viewpoint", "lsun-car-512", "viewpoint+"),
    "viewpoint_neg": ("viewpoint", "lsun-car-512", "viewpoint-"),
    "cube": ("cube", "lsun-car-512", "cube"),
    "color": ("color", "lsun-car-512", "color"),
    "grass": ("grass", "lsun-car-512", "grass"),
}
ROWS = {"ffhq-1024": 18, "lsun-car-512": 16}
PREFIX = {"ffhq-1024": "edits.face.", "lsun-car-512": "edits.car."}


def codes(generator: str) -> torch.Tensor:
    return torch.from_numpy(fill(PREFIX[generator] + "w", (2, ROWS[generator], 512), ["normal", 0.6]))


@pytest.fixture(scope="module")
def pca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Filled `ffhq_pca.pt` and `cars_pca.pt` in the authors' layout."""
    folder = tmp_path_factory.mktemp("pca")
    for file, generator in (("ffhq_pca.pt", "ffhq-1024"), ("cars_pca.pt", "lsun-car-512")):
        comp = fill(PREFIX[generator] + "comp", (80, 1, 512), ["normal", 1.0])
        content = {
            "comp": torch.from_numpy(comp / np.linalg.norm(comp, axis=2, keepdims=True)),
            "mean": torch.from_numpy(fill(PREFIX[generator] + "mean", (1, 512), ["normal", 0.2, 0.1])),
            "std": torch.from_numpy(fill(PREFIX[generator] + "std", (80,), ["uniform", 0.4, 3.0])),
        }
        torch.save(content, folder / file)
    return folder


@pytest.mark.parametrize("golden", EDITS)
def test_ganspace(golden: str, pca: Path) -> None:
    name, generator, column = EDITS[golden]
    card = find_card(name, generator)
    strength = next(item.strength for item in card.columns if item.name == column)
    direction = load_direction(card, lambda file: pca / file, generator=generator, latent_rows=ROWS[generator])
    w = codes(generator)
    edited = w + direction.delta(w, strength)
    start, end = card.layers
    np.testing.assert_allclose(edited[:, start], GOLDEN[f"ganspace_{golden}_row_start"], atol=2e-5)
    np.testing.assert_allclose(edited.double().sum((1, 2)), GOLDEN[f"ganspace_{golden}_sum"], atol=2e-3)
    assert direction.component is not None and direction.mean is not None and direction.std is not None
    before = (w[:, 0] - direction.mean) @ direction.component / direction.std
    np.testing.assert_allclose(before, GOLDEN[f"ganspace_{golden}_coord_before"], atol=1e-4)
    untouched = [row for row in range(ROWS[generator]) if not start <= row < end]
    assert torch.equal(edited[:, untouched], w[:, untouched])


def test_setting_a_coordinate_twice_changes_nothing_more(pca: Path) -> None:
    card = find_card("viewpoint", "lsun-car-512")
    direction = load_direction(card, lambda file: pca / file, generator="lsun-car-512", latent_rows=16)
    once = codes("lsun-car-512")
    once = once + direction.delta(once, 2.0)
    assert float(direction.delta(once, 2.0).abs().max()) < 1e-5


@pytest.mark.parametrize(("golden", "generator"), [("face", "ffhq-1024"), ("car", "lsun-car-512")])
def test_interfacegan(golden: str, generator: str, tmp_path: Path) -> None:
    from dataclasses import replace

    vector = torch.from_numpy(fill(PREFIX[generator] + "direction", (1, 512), ["normal", 0.0441942]))
    torch.save(vector, tmp_path / "smile.pt")
    card = replace(find_card("smile", "ffhq-1024"), generator=generator)
    direction = load_direction(card, lambda file: tmp_path / file, generator=generator, latent_rows=ROWS[generator])
    w = codes(generator)
    sums = (w + direction.delta(w, 2.0)).double().sum((1, 2))
    np.testing.assert_allclose(sums, GOLDEN[f"interfacegan_{golden}_sum_strength_2"].ravel(), atol=1e-3)
