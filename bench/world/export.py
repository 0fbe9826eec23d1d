"""The world on disk, in CelebA-HQ's own layout and file syntax, so that one reader reads both ("protocol" card 1.1)."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from bench.world.dataset import SyntheticFaces, first_number
from bench.world.splits import SPLITS

ATTRIBUTES = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
]
_PARTITION = {"train": 0, "val": 1, "test": 2}


def export(folder: Path, *, split: str | None = "test", limit: int | None = None, quality: int = 95) -> int:
    """Write images, attribute file, mapping and partition file; returns the number of images.

    Args:
        folder: Made where it does not exist; gets CelebA-HQ-img/ and three text files.
        split: "train", "val", "test", or None for all three.
        limit: At most so many of each split.
        quality: JPEG quality.

    Attributes that the world does not have are -1. Files are written under their own number in the whole world, which
    is also the picture's number in the "original" data set of the mapping.
    """
    images = folder / "CelebA-HQ-img"
    images.mkdir(parents=True, exist_ok=True)
    labels: list[str] = []
    mapping: list[str] = []
    for name in SPLITS if split is None else [split]:
        world = SyntheticFaces(name, limit)
        for image in world.images:
            Image.fromarray(world.read(image)).save(images / image.name, quality=quality, subsampling=0)
            values = " ".join(str(image.attributes.get(attribute, -1)) for attribute in ATTRIBUTES)
            labels.append(f"{image.name}  {values}")
            number = int(image.name.partition(".")[0])
            mapping.append(f"{number:<10} {number:<10} {number + 1:06d}.jpg")
    (folder / "CelebAMask-HQ-attribute-anno.txt").write_text(
        f"{len(labels)}\n{' '.join(ATTRIBUTES)}\n" + "\n".join(labels) + "\n"
    )
    (folder / "CelebA-HQ-to-CelebA-mapping.txt").write_text(
        "idx        orig_idx   orig_file\n" + "\n".join(mapping) + "\n"
    )
    (folder / "list_eval_partition.txt").write_text("\n".join(_partition_rows()) + "\n", encoding="utf-8")
    return len(labels)


def _partition_rows() -> list[str]:
    rows = []
    for name, (count, _) in SPLITS.items():
        first = first_number(name)
        rows += [f"{first + row + 1:06d}.jpg {_PARTITION[name]}" for row in range(count)]
    return rows
