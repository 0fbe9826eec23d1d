"""The shipped test split meets the protocol card's checksums, and damage shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.errors import MissingError
from bench.data.splits import CHECKSUMS, cars_names, celeba_part, celebahq_test, checksum, mismatches, to_csv, write

SHARED = Path(__file__).parents[4] / "shared" / "data" / "celebahq"


def test_counts_first_names_and_checksums() -> None:
    faces = celebahq_test()
    smiling = [face.name for face in faces if face.smiling == 1]
    assert (len(faces), len(smiling), len(faces) - len(smiling)) == (2824, 1339, 1485)
    assert [face.index for face in faces[:6]] == [2, 4, 26, 44, 59, 84]
    assert faces[-1].index == 29987
    assert checksum(face.name for face in faces) == CHECKSUMS["test"] == 2533920708
    assert checksum(smiling) == CHECKSUMS["smiling"] == 1406335188
    assert checksum(face.name for face in faces if face.smiling == -1) == CHECKSUMS["not smiling"] == 2952075451
    assert all(celeba_part(face.celeba) == "test" for face in faces)


def test_a_changed_label_or_name_is_noticed(tmp_path: Path) -> None:
    faces = list(celebahq_test())
    faces[7] = replace(faces[7], smiling=-faces[7].smiling)
    assert len(mismatches(faces)) == 2
    with pytest.raises(MissingError, match="are not CelebA-HQ's test images"):
        write(faces, tmp_path / "split.csv")
    assert not (tmp_path / "split.csv").exists()


def test_celebas_parts() -> None:
    borders = {1: "train", 162_770: "train", 162_771: "val", 182_637: "val", 182_638: "test", 202_599: "test"}
    assert {number: celeba_part(number) for number in borders} == borders


def test_car_names() -> None:
    assert cars_names("test")[0] == "00001.jpg"
    assert cars_names("test")[-1] == "08041.jpg"
    assert len(cars_names("train")) == 8144


@pytest.mark.skipif(not SHARED.exists(), reason="the real CelebA-HQ text files are not here")
def test_the_real_files_give_the_shipped_split() -> None:
    from bench.data.splits.__main__ import derive

    assert to_csv(derive(SHARED)) == to_csv(celebahq_test())
