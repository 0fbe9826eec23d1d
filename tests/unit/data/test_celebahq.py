"""CelebA-HQ's reader: layouts, namings, and files that contradict the data set."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from bench.core.errors import MissingError, UsageError
from bench.core.subset import belongs
from bench.data import list_images, open_dataset
from bench.data.celeba_files import ANNOTATIONS, MAPPING, PARTITION, Annotations
from bench.data.celeba_verify import verify
from bench.data.splits import CHECKSUMS, celeba_part, celebahq_test, checksum

from .conftest import mapping_text, real_mapping, real_smiles, save_image

SHARED = Path(__file__).parents[4] / "shared" / "data" / "celebahq"


def few(root: Path, naming: str = "{index}.jpg", folder: str = "CelebA-HQ-img") -> Path:
    """The first three test images, called as asked."""
    for face in celebahq_test()[:3]:
        save_image(root / folder / naming.format(index=face.index, celeba=face.celeba), seed=face.index)
    return root


def test_a_world_in_this_layout_brings_its_own_splits(world: Path) -> None:
    test = open_dataset("celebahq", world)
    assert [image.name for image in test.images] == ["6.jpg", "7.jpg", "8.jpg", "9.jpg", "10.jpg", "11.jpg"]
    assert [image.name for image in test.images if belongs(image.attributes, "Smiling=1")] == [
        "7.jpg",
        "9.jpg",
        "11.jpg",
    ]
    assert test.attributes == {"Smiling", "Young"}
    assert test.read(test.images[0]).shape == (24, 32, 3)
    sizes = {split: len(open_dataset("celebahq", world, split).images) for split in ("train", "val", "all")}
    assert sizes == {"train": 4, "val": 2, "all": 12}
    assert [image.name for image in open_dataset("celebahq", world, limit=2).images] == ["6.jpg", "7.jpg"]


def test_a_row_lost_in_a_worlds_labels_is_named(world: Path) -> None:
    path = world / ANNOTATIONS
    path.write_text(path.read_text().replace("12\n", "11\n", 1).replace("8.jpg  -1 1\n", ""))
    with pytest.raises(MissingError, match="image 8 has no row"):
        open_dataset("celebahq", world)


def test_without_text_files_the_shipped_split_serves(tmp_path: Path) -> None:
    data = open_dataset("celebahq", few(tmp_path), limit=3)
    assert [image.name for image in data.images] == ["2.jpg", "4.jpg", "26.jpg"]
    assert [image.attributes for image in data.images] == [{"Smiling": 1}, {"Smiling": -1}, {"Smiling": -1}]
    with pytest.raises(MissingError, match="the split 'val' needs CelebA-HQ-to-CelebA-mapping"):
        open_dataset("celebahq", tmp_path, "val")
    assert len(open_dataset("celebahq", tmp_path, "all").images) == 3


@pytest.mark.parametrize(
    ("naming", "folder"),
    [
        ("{index}.png", "CelebA-HQ-img"),
        ("{index}.jpg", "."),
        ("{index:05d}.jpg", "test"),
        ("{celeba:06d}.jpg", "images256"),
        ("{celeba:06d}.png", "CelebAMask-HQ/CelebA-HQ-img"),
    ],
)
def test_other_distributions(tmp_path: Path, naming: str, folder: str) -> None:
    data = open_dataset("celebahq", few(tmp_path, naming, folder), limit=3)
    assert [image.name for image in data.images] == ["2.jpg", "4.jpg", "26.jpg"]


def test_folders_by_smile(tmp_path: Path) -> None:
    for face in celebahq_test()[:3]:
        save_image(tmp_path / ("smile" if face.smiling == 1 else "no_smile") / face.name)
    assert len(open_dataset("celebahq", tmp_path, limit=3).images) == 3


def test_files_counted_from_one(tmp_path: Path) -> None:
    few(tmp_path, "{index}.jpg")
    for path in sorted((tmp_path / "CelebA-HQ-img").iterdir(), reverse=True):
        path.rename(path.with_stem(str(int(path.stem) + 1)))
    save_image(tmp_path / "CelebA-HQ-img" / "30000.jpg")
    listing = list_images("celebahq", tmp_path)
    assert [entry.path.stem for entry in listing.entries[:3] if entry.path] == ["3", "5", "27"]
    assert "files count from 1" in listing.notes


def test_one_number_twice_is_refused(tmp_path: Path) -> None:
    save_image(few(tmp_path) / "CelebA-HQ-img" / "2.png")
    with pytest.raises(MissingError, match="image 2 is there twice"):
        open_dataset("celebahq", tmp_path, limit=1)


def test_missing_images_stop_a_run_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"2821 of 2824 test images are missing: 44\.jpg, 59\.jpg") as error:
        open_dataset("celebahq", few(tmp_path))
    assert "data check --data celebahq" in error.value.next_step
    with pytest.raises(MissingError, match="no such folder"):
        open_dataset("celebahq", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="has no split 'tets'"):
        open_dataset("celebahq", tmp_path, "tets")


class TestRealFiles:
    """Contents of CelebA-HQ's own size, right and wrong."""

    paths: ClassVar = {name: Path(name) for name in (ANNOTATIONS, MAPPING, PARTITION)}

    def check(
        self, mapping: dict[int, int] | None = None, smiling: dict[int, int] | None = None, lost: int = 0
    ) -> None:
        """Verify a mapping and Smiling labels; the partition lacks CelebA's image `lost`."""
        parts = {index: None if number == lost else celeba_part(number) for index, number in (mapping or {}).items()}
        annotations = None
        if smiling is not None:
            rows = {index: row for row, index in enumerate(smiling)}
            annotations = Annotations(("Smiling",), rows, np.array(list(smiling.values()), np.int8)[:, None])
        verify(self.paths, mapping, parts, annotations)

    def test_right_files_pass(self) -> None:
        self.check(real_mapping(), real_smiles())

    @pytest.mark.parametrize("step", [-1, 1])
    def test_a_mapping_shifted_by_one_is_named(self, step: int) -> None:
        mapping = real_mapping()
        shifted = {index: mapping.get(index + step, 5) for index in mapping}
        with pytest.raises(
            MissingError, match=rf"{MAPPING}: is shifted by one: row {100 - step} holds the entry of image 100"
        ):
            self.check(shifted)

    def test_a_mapping_file_that_lost_its_first_row_to_a_header_is_named(self, tmp_path: Path) -> None:
        mapping = real_mapping()
        shifted = {index: mapping[index + 1] for index in range(len(mapping) - 1)}
        (few(tmp_path) / MAPPING).write_text(mapping_text(shifted))
        with pytest.raises(MissingError, match="is shifted by one: row 99 holds the entry of image 100"):
            open_dataset("celebahq", tmp_path)

    def test_numbers_counted_otherwise_are_named_although_no_split_changes(self) -> None:
        with pytest.raises(MissingError, match="every original's number is 1 too high"):
            self.check({index: number + 1 for index, number in real_mapping().items()})

    def test_a_short_mapping_is_named(self) -> None:
        mapping = real_mapping()
        del mapping[29_999]
        with pytest.raises(MissingError, match="has 29999 rows, CelebA-HQ has 30000"):
            self.check(mapping)

    def test_another_mapping_is_named(self) -> None:
        mapping = real_mapping()
        mapping[2], mapping[4] = mapping[4], mapping[2]
        with pytest.raises(MissingError, match="not CelebA-HQ's mapping: 2 test rows differ, first image 2"):
            self.check(mapping)

    def test_labels_shifted_by_one_are_named(self) -> None:
        smiling = real_smiles()
        shifted = {index: smiling.get(index + 1, 1) for index in smiling}
        with pytest.raises(
            MissingError, match=rf"{ANNOTATIONS}: is shifted by one: row 99 holds the labels of image 100"
        ):
            self.check(real_mapping(), shifted)

    def test_a_wrong_label_is_named_with_its_checksum(self) -> None:
        with pytest.raises(MissingError, match="1 Smiling labels are not CelebA-HQ's, first image 4; checksum"):
            self.check(None, real_smiles() | {4: 1})

    def test_a_wrong_partition_file_is_named(self) -> None:
        with pytest.raises(MissingError, match=rf"{PARTITION}: gives 2823 test images with checksum"):
            self.check(real_mapping(), lost=celebahq_test()[0].celeba)


@pytest.mark.skipif(not SHARED.exists(), reason="the real CelebA-HQ files are not here")
def test_the_real_files() -> None:
    data = open_dataset("celebahq", SHARED, "all", limit=4)
    assert [image.name for image in data.images] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert data.read(data.images[0]).shape == (1024, 1024, 3)
    assert len(data.attributes) == 40
    entries = list_images("celebahq", SHARED).entries
    assert checksum(entry.name for entry in entries) == CHECKSUMS["test"]
    labels = [entry.attributes for entry in entries]
    names = ("Smiling", "Young", "Male", "Eyeglasses", "Bangs", "Heavy_Makeup")
    found = {name: sum(label[name] == 1 for label in labels) for name in names}
    expected = {"Smiling": 1339, "Young": 2192, "Male": 960, "Eyeglasses": 174, "Bangs": 533, "Heavy_Makeup": 1334}
    assert found == expected


def test_the_synthetic_world_is_read_back_from_disk(tmp_path: Path) -> None:
    from bench.world import open_world
    from bench.world.export import export

    world = open_world("test", 6)
    export(tmp_path, split="test", limit=6, quality=100)
    read = open_dataset("celebahq", tmp_path)
    assert [image.name for image in read.images] == [image.name for image in world.images]
    for ours, theirs in zip(read.images, world.images, strict=True):
        assert ours.attributes["Smiling"] == theirs.attributes["Smiling"]
        assert np.abs(read.read(ours).astype(int) - world.read(theirs).astype(int)).mean() < 3
