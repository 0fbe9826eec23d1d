"""An image for a README: some images of a run side by side, every method and edit of each.

python -m reports.figures.showcase runs/NAME docs/showcase.png --images 2.jpg,4.jpg
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from bench.core.errors import MissingError
from bench.core.files import write_atomic
from bench.results.manifest import read_manifest
from reports.facts import gather_facts
from reports.figures.grids import draw_grids
from reports.figures.run_images import read_images

_GAP = 18


def showcase(run: Path, names: Sequence[str] = (), count: int = 2) -> bytes:
    """PNG bytes: the sheets of the named images (or of the first `count`) side by side.

    Raises:
        MissingError: The run, or an image of that name, is not there.
    """
    manifest = read_manifest(run)
    images = read_images(run, first=1 << 20 if names else count)
    if names:
        by_name = {image.name: image for image in images}
        absent = [name for name in names if Path(name).stem not in by_name]
        if absent:
            raise MissingError(f"{run} kept no image {absent[0]}", f"it has: {', '.join(sorted(by_name)) or 'none'}")
        images = [by_name[Path(name).stem] for name in names]
    passes = [str(item["column"]) for item in manifest.get("passes", ())]
    grids = draw_grids(images, passes, gather_facts(manifest))[: len(images)]
    if not grids:
        raise MissingError(f"{run} kept no images", "run it again with --fresh")
    sheets = [Image.open(io.BytesIO(grid.png), formats=("PNG",)) for grid in grids]
    size = (sum(s.width for s in sheets) + _GAP * (len(sheets) - 1), max(s.height for s in sheets))
    paper = Image.new("RGB", size, "white")
    x = 0
    for sheet in sheets:
        paper.paste(sheet, (x, 0))
        x += sheet.width + _GAP
    data = io.BytesIO()
    paper.save(data, "PNG", optimize=True)
    return data.getvalue()


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: a run's folder, the file to write, and which images."""
    parser = argparse.ArgumentParser(prog="python -m reports.figures.showcase", description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--images", default="", help="names, separated by commas; the first two by default")
    options = parser.parse_args(argv)
    names = [name for name in options.images.split(",") if name]
    print(write_atomic(options.output, showcase(options.run, names)))


if __name__ == "__main__":
    main()
