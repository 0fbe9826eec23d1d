"""A data set of photographs whose faces are aligned as they are read: `--align` of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from bench.core.contract import Domain, ImageRecord
from bench.core.domains import find_domain
from bench.core.errors import ImageError, UsageError
from bench.data.align.faces import align, aligner_digest
from bench.data.images import FileImage
from bench.data.listing import FileDataset


class AlignedImage(FileImage):
    """A photograph's aligned crop; its digest is of the file, of what aligns it, and of which face was asked for."""

    face: int

    def __init__(self, photograph: FileImage, face: int) -> None:
        super().__init__(photograph.name, photograph.path, dict(photograph.attributes))
        object.__setattr__(self, "face", face)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256. Raises ImageError when the file cannot be read."""
        photograph = FileImage(self.name, self.path).digest
        return hashlib.sha256(f"{photograph} {aligner_digest()} {self.face}".encode()).hexdigest()


class AlignedDataset:
    """A `Dataset` of FFHQ's crops, uint8 (s, s, 3) with s the side of the domain's generator, out of photographs.

    Raises:
        UsageError: The domain's images are not aligned, or are no files.
        MissingError: The extra `align` is not installed.
    """

    counted = True

    def __init__(self, photographs: FileDataset, face: int = 0) -> None:
        spec = find_domain(photographs.domain)
        if not spec.alignment:
            raise UsageError(f"images of {photographs.domain} are not aligned", "leave out --align")
        aligner_digest()
        self.name: str = photographs.name
        self.domain: Domain = photographs.domain
        self.images: Sequence[ImageRecord] = tuple(
            AlignedImage(image, face) for image in photographs.images if isinstance(image, FileImage)
        )
        self._photographs, self._face, self._side = photographs, face, spec.generator_size

    def read(self, image: ImageRecord) -> np.ndarray:
        """The crop. Raises ImageError where the file cannot be used, or no face or several faces are found."""
        pixels = self._photographs.read(image)
        try:
            return align(pixels, self._side, image.name, self._face or None)
        except (ImageError, UsageError) as error:
            choice = "crop it by hand or leave it out" if isinstance(error, ImageError) else "--face 1: the largest"
            raise ImageError(f"{error.what}; {choice}") from None
