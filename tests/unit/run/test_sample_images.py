"""Of two images that would be kept under one name one is kept, in every pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.core.contract import EditPass, ImageRecord
from bench.data.images import decode
from bench.run.sample_images import SampleImages


def test_images_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    images = [ImageRecord(name, "", {}) for name in ("2.jpg", "2.png", "3.jpg", "4.jpg")]
    samples = SampleImages(tmp_path, images, 3)
    for at in range(4):
        grey = np.full((16, 16, 3), 10 * at, np.uint8)
        samples.real(at, grey)
        if at != 0:  # the method failed on the first
            samples.edited(at, "e4e", EditPass("reconstruction", None, 0.0), grey, {})
    found = {path.relative_to(tmp_path / "pictures").as_posix(): int(decode(path)[0, 0, 0])
             for path in tmp_path.rglob("*.png")}  # fmt: skip
    assert found == {"real/original/2.png": 0, "real/original/3.png": 20, "e4e/reconstruction/3.png": 20}
