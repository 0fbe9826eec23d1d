"""Fig. 6 side by side: of each photograph the 2D edit that turned the head about as far as the camera went round it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.data.align.yaw import YawMeter
from reports.figures.run_images import RunImage
from reports.naming import RECONSTRUCTION, split_pass

# The edit that moves a 3D method's camera.
CAMERA = "yaw"


@dataclass(frozen=True)
class NearestView:
    """The edit of a 2D method that is nearest to a 3D method's view of the same photograph.

    Attributes:
        pass_name: Its pass.
        yaw, wanted: Degrees measured in it, and in the view.
    """

    pass_name: str
    yaw: float
    wanted: float

    @property
    def text(self) -> str:
        """ "pose-3 (-10° beside -12°)"."""
        return f"{self.pass_name} ({self.yaw:+.0f}° beside {self.wanted:+.0f}°)"


# (image, method, view's pass) -> what is nearest.
Views = Mapping[tuple[str, str, str], NearestView]


def nearest_views(
    images: Sequence[RunImage], passes: Sequence[str], methods: Sequence[str], meter: YawMeter | None
) -> Views:
    """For every view of a 3D method the nearest edit of every 2D one, where yaw can be measured in both.

    Args:
        meter: Measures an image; without one nothing is matched.
    """
    if meter is None:
        return {}
    views = [name for name in passes if split_pass(name).edit == CAMERA]
    in_3d = {method for method in methods if any((method, view) in image.made for image in images for view in views)}
    edits = [name for name in passes if name not in views and name != RECONSTRUCTION]
    return dict(
        found
        for image in images
        for method in methods
        if method not in in_3d
        for found in _of_method(image, method, views, edits, sorted(in_3d), meter)
    )


def _of_method(
    image: RunImage,
    method: str,
    views: Sequence[str],
    edits: Sequence[str],
    in_3d: Sequence[str],
    meter: YawMeter,
) -> Iterator[tuple[tuple[str, str, str], NearestView]]:
    turned = {name: _yaw(image.made.get((method, name)), meter) for name in edits}
    known = {name: yaw for name, yaw in turned.items() if yaw is not None}
    for view in views:
        wanted = next((yaw for own in in_3d if (yaw := _yaw(image.made.get((own, view)), meter)) is not None), None)
        if wanted is not None and known:
            name = min(known, key=lambda edit: abs(known[edit] - wanted))
            yield (image.name, method, view), NearestView(name, known[name], wanted)


def _yaw(image: Image.Image | None, meter: YawMeter) -> float | None:
    return None if image is None else meter(np.asarray(image.convert("RGB")))
