"""`python -m bench.data.splits ROOT`: derive celebahq_test.csv from CelebA-HQ's own files and print what came out."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.data.celeba_files import ANNOTATIONS, MAPPING, read_annotations, read_mapping
from bench.data.splits import CHECKSUMS, COUNTS, SplitFace, celeba_part, write


def derive(root: Path) -> list[SplitFace]:
    """Test images by the rule of the protocol card: the CelebA original's number decides the part."""
    labels = read_annotations(root / ANNOTATIONS)
    originals = read_mapping(root / MAPPING)
    column = labels.names.index("Smiling")
    return [
        SplitFace(index, originals[index], int(labels.values[labels.rows[index], column]))
        for index in sorted(originals)
        if celeba_part(originals[index]) == "test"
    ]


def main() -> None:
    """Write the split beside this module."""
    faces = derive(Path(sys.argv[1]))
    target = Path(__file__).with_name("celebahq_test.csv")
    write(faces, target)
    print(f"{target}: {len(faces)} names, checksums as expected: {CHECKSUMS}, counts {COUNTS}")


if __name__ == "__main__":
    main()
