"""The three text files: every syntax in the wild, every fault with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.core.errors import MissingError
from bench.data.celeba_files import read_annotations, read_mapping, read_partition

Write = Callable[[str, str], Path]
ANNOTATIONS = "3\nSmiling Young\n0.jpg  -1 1\n1.jpg  1 1\n2.jpg  1 -1\n"


def test_annotations_with_and_without_count(write: Write) -> None:
    for text in (ANNOTATIONS, ANNOTATIONS[2:], ANNOTATIONS.replace("  ", ",").replace(" ", ",")):
        found = read_annotations(write("a.txt", text))
        assert found.names == ("Smiling", "Young")
        assert [found.of(index) for index in range(3)] == [
            {"Smiling": -1, "Young": 1},
            {"Smiling": 1, "Young": 1},
            {"Smiling": 1, "Young": -1},
        ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (ANNOTATIONS.replace("1.jpg  1 1\n", ""), "line 1 promises 3 rows, there are 2; image 1 has no row"),
        (ANNOTATIONS.replace("2.jpg", "1.jpg"), r"line 5: 1\.jpg is listed twice"),
        (ANNOTATIONS.replace("Smiling Young\n", ""), "no header"),
        (ANNOTATIONS.replace("Smiling Young", "Smiling"), r"line 3: the header names 1 attributes, 0\.jpg has 2"),
        (ANNOTATIONS.replace("Smiling", "Grinning"), "wrong header: no attribute is called Smiling"),
        (ANNOTATIONS.replace("-1 1\n", "0 1\n"), "line 3: labels are -1 or 1, found '0'"),
        (ANNOTATIONS.replace("1.jpg", "one.jpg"), "line 4: 'one.jpg' is not a numbered image"),
        ("", "no header"),
        ("3\nSmiling Young\n", "has no rows"),
    ],
)
def test_faults_of_annotations(write: Write, text: str, fault: str) -> None:
    with pytest.raises(MissingError, match=fault):
        read_annotations(write("a.txt", text))


def test_a_row_missing_without_a_count_is_noticed(write: Write) -> None:
    rows = "".join(f"{index}.jpg  1 1\n" for index in range(300) if index != 123)
    with pytest.raises(MissingError, match="image 123 has no row"):
        read_annotations(write("a.txt", "Smiling Young\n" + rows))


MAPPING = "idx        orig_idx   orig_file\n0          119613     119614.jpg\n1          99094      099095.jpg\n"


def test_mappings_with_and_without_header(write: Write) -> None:
    bare = MAPPING.partition("\n")[2]
    for text in (MAPPING, bare, bare.replace("     ", "\t"), "0 119613\n1 99094\n", "0,119614.jpg\n1,099095.jpg\n"):
        assert read_mapping(write("m.txt", text)) == {0: 119614, 1: 99095}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (MAPPING.replace("119613", "119614"), r"line 2: orig_file 119614\.jpg is not orig_idx 119614 \+ 1"),
        (MAPPING.replace("\n1 ", "\n0 "), "line 3: image 0 is listed twice"),
        (MAPPING + "2 1 2 3\n", "line 4: expected idx orig_idx orig_file, found 4 fields"),
        ("idx orig_idx orig_file\n", "has no rows"),
    ],
)
def test_faults_of_mappings(write: Write, text: str, fault: str) -> None:
    with pytest.raises(MissingError, match=fault):
        read_mapping(write("m.txt", text))


def test_partitions(write: Write) -> None:
    assert read_partition(write("p.txt", "000001.jpg 0\n000002.jpg 2\n000003.jpg 1\n")) == {
        1: "train",
        2: "test",
        3: "val",
    }
    with pytest.raises(MissingError, match="line 2: expected a file name and 0, 1 or 2"):
        read_partition(write("p.txt", "000001.jpg 0\n000002.jpg 3\n"))
    with pytest.raises(MissingError, match=r"line 2: 1\.jpg is listed twice"):
        read_partition(write("p.txt", "000001.jpg 0\n1.jpg 2\n"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00\x9c")
    with pytest.raises(MissingError, match="cannot be read as text"):
        read_annotations(tmp_path / "a.txt")
