"""Small data sets on disk: a stand-in for CelebA-HQ with true numbers, and a world of its own in the same layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.splits import CELEBAHQ_SIZE, celebahq_test


def save_image(path: Path, seed: int = 0, size: tuple[int, int] = (24, 32)) -> Path:
    """A random RGB image of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def real_mapping() -> dict[int, int]:
    """CelebA-HQ's size and its test rows; every other image gets an original of the train part."""
    mapping = {index: index + 1 for index in range(CELEBAHQ_SIZE)}
    return mapping | {face.index: face.celeba for face in celebahq_test()}


def mapping_text(mapping: dict[int, int], header: bool = True) -> str:
    rows = [f"{index:<11d}{number - 1:<11d}{number:06d}.jpg" for index, number in mapping.items()]
    return "\n".join((["idx        orig_idx   orig_file"] if header else []) + rows) + "\n"


def annotation_text(labels: dict[int, list[int]], names: list[str]) -> str:
    rows = [f"{index}.jpg  {' '.join(map(str, values))}" for index, values in labels.items()]
    return "\n".join([str(len(labels)), " ".join(names), *rows]) + "\n"


def real_smiles() -> dict[int, int]:
    """Smiling labels of CelebA-HQ's size with the true ones of the test images."""
    return {index: 1 for index in range(CELEBAHQ_SIZE)} | {face.index: face.smiling for face in celebahq_test()}


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Twelve images with their own mapping, partition and labels, below a path with spaces and letters of other
    scripts.
    """
    root = tmp_path / "Données synthétiques 合成"
    for index in range(12):
        save_image(root / "CelebA-HQ-img" / f"{index}.png", seed=index)
    labels = {index: [1 if index % 2 else -1, 1] for index in range(12)}
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(annotation_text(labels, ["Smiling", "Young"]))
    mapping = {index: index + 1 for index in range(12)}
    (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(mapping_text(mapping, header=False))
    partition = "".join(f"{number:06d}.jpg {0 if number < 5 else 1 if number < 7 else 2}\n" for number in range(1, 13))
    (root / "list_eval_partition.txt").write_text(partition)
    return root


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def writer(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return writer
