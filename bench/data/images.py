"""One image file: look at it cheaply, or decode it to uint8 RGB, with every refusal explained.

The rules, the same for every data set:

- EXIF orientation is applied; of several frames the first counts.
- Grey, palette, CMYK, YCbCr and LAB images are converted by Pillow's plain rule (no colour profile); transparency
  is ignored.
- 16-bit samples keep their high byte, in grey as in colour; 32-bit and floating-point samples are refused.
- Images with a side under 16 pixels, a side ratio above 20 : 1, more than 100 million pixels, or more than
  300 MB once decoded, are refused unread; so is a large one of hardly any bytes, which no camera makes.
"""

from __future__ import annotations

import hashlib
import io
import stat
import warnings
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.core.contract import ImageRecord
from bench.core.errors import ImageError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm"})
# What Pillow may take a file for, whatever it is called: never a program (EPS), never a format that reads other files.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM")
MAX_BYTES = 400_000_000
MIN_SIDE = 16
MAX_RATIO = 20.0
MAX_PIXELS = 100_000_000
# Of the decoded image.
MAX_DECODED = 300_000_000
# Pixels that need no bytes, and pixels a byte beyond them: photographs have one to ten, the plainest of them.
_FREE_PIXELS, _PIXELS_A_BYTE = 12_000_000, 16
# Passes that a progressive JPEG file may take over all its pixels; encoders make ten.
_MOST_PASSES = 100
ASPECT_TOLERANCE = 0.02
# EXIF's tag of the orientation, what undoes its values, and those of an image whose sides are swapped.
_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
# TIFF's width and height of a tile.
_TILE = (322, 323)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Bytes of an image that are copied at a time.
_STRIP = 16_000_000
_HTML = (b"<!doctype html", b"<html")


class FileImage(ImageRecord):
    """An image that is a file; its digest (SHA-256 of the file's bytes) is computed when first asked for.

    Opening a data set of thousands of images therefore reads none of them. `aspect`: (height, width) that its sides
    must be in proportion to; None for any.
    """

    path: Path
    aspect: tuple[int, int] | None

    def __init__(
        self,
        name: str,
        path: Path,
        attributes: dict[str, int] | None = None,
        aspect: tuple[int, int] | None = None,
    ) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "aspect", aspect)
        object.__setattr__(self, "attributes", attributes or {})

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the file's bytes. Raises ImageError when the file cannot be read."""
        return hashlib.sha256(read_bytes(self.path)).hexdigest()


def decode(path: Path, aspect: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image file as uint8 (H, W, 3) RGB by the rules of this module.

    Raises ImageError with the reason; one of them is a shape that is not in the proportion (height, width) of `aspect`.
    """
    pixels = decode_bytes(read_bytes(path), path)
    _check_aspect(pixels.shape[1], pixels.shape[0], path, aspect)
    return pixels


def decode_bytes(content: bytes, where: Path | str) -> np.ndarray:
    """An image file's bytes as uint8 (H, W, 3) RGB; `where` names it in messages. Raises ImageError."""
    image = _identify(io.BytesIO(content), where)
    if image.format in ("JPEG", "MPO") and _passes(content) > _MOST_PASSES:
        raise ImageError(f"{where}: more than {_MOST_PASSES} passes over its pixels, which no camera makes")
    try:
        image.load()
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
        return _to_rgb(image if turn is None else image.transpose(turn), where)
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{where}: cannot be decoded ({_reason(error)})") from error
    finally:
        image.close()


def problem(path: Path, *, thorough: bool = False, aspect: tuple[int, int] | None = None) -> str | None:
    """What is wrong with an image file, in one sentence, or None.

    Reads the header only, not the file; `thorough` decodes all of it, which alone finds damage inside.
    """
    try:
        if thorough:
            decode(path, aspect)
        else:
            _look(path, aspect)
    except ImageError as error:
        return error.what
    return None


def size_of(path: Path) -> tuple[int, int] | None:
    """(width, height) of an image file, by its header; None for one that cannot be used."""
    try:
        _check_file(path)
        with path.open("rb") as file, _identify(file, path) as image:
            return image.size
    except (ImageError, OSError):
        return None


def read_bytes(path: Path) -> bytes:
    """An image file's bytes, looked at no further. Raises ImageError."""
    _check_file(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not content:
        raise ImageError(f"{path}: is empty (0 bytes)")
    return content


def _check_file(path: Path) -> None:
    """Raise ImageError for what is no file of a size that an image may have; a pipe or a device would never end."""
    try:
        status = path.stat()
    except OSError:
        return  # the reader says what is wrong with it
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path}: is no regular file")
    if status.st_size > MAX_BYTES:
        raise ImageError(f"{path}: {status.st_size / 1e9:.1f} GB, more than an image may have")


def _look(path: Path, aspect: tuple[int, int] | None = None) -> None:
    """Raise ImageError for a file whose header shows that it is of no use; only what Pillow needs for it is read."""
    _check_file(path)
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise ImageError(f"{path}: is empty (0 bytes)")
            image = _identify(file, path)
            width, height = image.size
            turned = aspect is not None and _orientation(image, path) in _ON_ITS_SIDE
            image.close()
            _check_aspect(*((height, width) if turned else (width, height)), path, aspect)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _identify(file: IO[bytes], path: Path | str) -> Image.Image:
    """The image, its header read and its size checked, nothing decoded. Raises ImageError."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(200)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            # Pillow's own size warning is replaced by the refusal below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        web_page = head.lstrip().lower().startswith(_HTML)
        reason = "is a web page, not an image" if web_page else "is not an image, or its header is damaged"
        raise ImageError(f"{path}: {reason}") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: more than {MAX_PIXELS // 10**6} million pixels") from None
    except Exception as error:
        raise ImageError(f"{path}: cannot be opened ({_reason(error)})") from error
    _check_size(image.size, path)
    for width, height in (image.size, _tile(image)):
        if width * height > _FREE_PIXELS + _PIXELS_A_BYTE * size:
            raise ImageError(f"{path}: {width}x{height} pixels in {size:,} bytes, which no photograph has")
    if image.width * image.height * len(image.getbands()) > MAX_DECODED:
        channels = len(image.getbands())
        raise ImageError(f"{path}: {image.width}x{image.height} pixels of {channels} channels, more than 300 MB")
    return image


def _tile(image: Image.Image) -> tuple[int, int]:
    """Width and height of what is decoded at a time, which in a TIFF file may be more than the image."""
    tags = getattr(image, "tag_v2", {})
    width, height = (tags.get(tag, 0) for tag in _TILE)
    return (width, height) if isinstance(width, int) and isinstance(height, int) else (0, 0)


def _orientation(image: Image.Image, path: Path) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except OSError:
        raise
    except Exception as error:  # Pillow has no class of errors for what is wrong with EXIF data
        raise ImageError(f"{path}: cannot be opened ({_reason(error)})") from error


def _passes(content: bytes) -> int:
    """How often a JPEG file goes over its pixels, counted no further than what is too often."""
    at, count = 2, 0
    while count <= _MOST_PASSES and 0 <= (at := content.find(b"\xff", at)) < len(content) - 3:
        marker = content[at + 1]
        if marker == 0xD9:  # the end; what follows is none of its
            break
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        count += marker == 0xDA
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return count


def _check_size(size: tuple[int, int], path: Path | str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError(f"{path}: {width}x{height} pixels, more than {MAX_PIXELS // 10**6} million")
    if max(size) > MAX_RATIO * min(size):
        raise ImageError(f"{path}: {width}x{height} pixels, sides differ by more than {MAX_RATIO:.0f} : 1")
    if min(size) < MIN_SIDE:
        raise ImageError(f"{path}: {width}x{height} pixels, a side is under {MIN_SIDE}")


def _check_aspect(width: int, height: int, path: Path | str, aspect: tuple[int, int] | None) -> None:
    """Raise ImageError for an image that a method would squash noticeably."""
    if aspect is not None and abs(width * aspect[0] - height * aspect[1]) > ASPECT_TOLERANCE * width * aspect[0]:
        shape = "square" if aspect[0] == aspect[1] else f"{aspect[1]} : {aspect[0]}"
        raise ImageError(f"{path}: {width}x{height} pixels, not {shape}, and would be squashed; --align, or crop it")


def _to_rgb(image: Image.Image, path: Path | str) -> np.ndarray:
    wide = image.mode == "I" or image.mode.startswith("I;16")
    if image.mode == "F":
        raise ImageError(f"{path}: floating-point samples; save it with 8 or 16 bits")
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP // (4 * image.width))
    # Strip by strip: Pillow's conversions make several copies of what they are given.
    for start in range(0, image.height, rows):
        strip = image.crop((0, start, image.width, min(start + rows, image.height)))
        pixels[start : start + rows] = _grey_16(np.asarray(strip), path) if wide else np.asarray(strip.convert("RGB"))
    return pixels


def _grey_16(values: np.ndarray, path: Path | str) -> np.ndarray:
    # Some Pillow versions open 16-bit grey files as 32-bit integers.
    if values.min() < 0 or values.max() > 65535:
        raise ImageError(f"{path}: 32-bit samples; save it with 8 or 16 bits")
    return (values >> 8).astype(np.uint8)[:, :, None]


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
