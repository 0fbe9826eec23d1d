"""Pictures as they come: odd modes converted by rule, damage refused with the reason."""

from __future__ import annotations

import hashlib
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import ExitCode, ImageError
from bench.data.images import FileImage, decode, problem

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def test_rgb_png_is_read_exactly(tmp_path: Path) -> None:
    read = decode(saved(tmp_path / "a.png", Image.fromarray(PIXELS)))
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    np.testing.assert_array_equal(read, PIXELS)


def test_grey_is_repeated(tmp_path: Path) -> None:
    read = decode(saved(tmp_path / "a.png", Image.fromarray(PIXELS[..., 0])))
    np.testing.assert_array_equal(read, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_sixteen_bits_keep_the_high_byte(tmp_path: Path) -> None:
    wide = PIXELS[..., 0].astype(np.uint16) * 256 + 200
    read = decode(saved(tmp_path / "a.png", Image.fromarray(wide)))
    np.testing.assert_array_equal(read, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_cmyk_is_converted_by_pillows_plain_rule(tmp_path: Path) -> None:
    image = Image.fromarray(PIXELS).convert("CMYK")
    read = decode(saved(tmp_path / "a.tif", image))
    np.testing.assert_array_equal(read, np.asarray(image.convert("RGB")))
    assert decode(saved(tmp_path / "a.jpg", image, quality=95)).shape == (40, 60, 3)


def test_palette_and_transparency(tmp_path: Path) -> None:
    rgba = np.dstack([PIXELS, np.zeros((40, 60), np.uint8)])
    np.testing.assert_array_equal(decode(saved(tmp_path / "a.png", Image.fromarray(rgba))), PIXELS)
    palette = Image.fromarray(PIXELS).quantize(16)
    np.testing.assert_array_equal(decode(saved(tmp_path / "p.png", palette)), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize(("orientation", "turned"), [(3, lambda x: x[::-1, ::-1]), (6, lambda x: np.rot90(x, -1))])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turned: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = decode(saved(tmp_path / "a.png", Image.fromarray(PIXELS), exif=exif))
    np.testing.assert_array_equal(read, turned(PIXELS))  # type: ignore[operator]


def damaged(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind} ü.jpg"
    whole = saved(tmp_path / "whole.jpg", Image.fromarray(np.tile(PIXELS, (8, 8, 1)))).read_bytes()
    if kind == "folder":
        path.mkdir()
    if kind in ("empty", "truncated", "text", "page"):
        text = {"text": b"hello", "page": b"<!DOCTYPE html><html></html>"}
        path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], **text}[kind])
    if kind == "strip":
        saved(tmp_path / "strip.png", Image.new("RGB", (30_000, 1))).rename(path)
    if kind == "tiny":
        saved(tmp_path / "tiny.png", Image.new("RGB", (8, 8))).rename(path)
    if kind == "bomb":
        # A header that promises 400 million pixels is enough: nobody may read on.
        small = saved(tmp_path / "bomb.png", Image.new("L", (20, 20))).read_bytes()
        header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + small[24:29]
        path.write_bytes(small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:])
    if kind == "float":
        saved(tmp_path / "f.tif", Image.fromarray(np.zeros((20, 20), np.float32))).rename(path)
    if kind == "int32":
        saved(tmp_path / "i.tif", Image.fromarray(np.full((20, 20), 70_000, np.int32))).rename(path)
    return path


REASONS = {
    "absent": "no such file",
    "folder": "is no regular file",
    "empty": r"is empty \(0 bytes\)",
    "text": "is not an image",
    "page": "is a web page",
    "truncated": "truncated",
    "strip": r"30000x1 pixels, sides differ by more than 20 : 1",
    "tiny": "8x8 pixels, a side is under 16",
    "bomb": "more than 100 million",
    "float": "floating-point samples",
    "int32": "32-bit samples",
}


@pytest.mark.parametrize("kind", REASONS)
def test_what_cannot_be_used_says_why(tmp_path: Path, kind: str) -> None:
    path = damaged(tmp_path, kind)
    with pytest.raises(ImageError, match=REASONS[kind]) as error:
        decode(path)
    assert str(path) in error.value.what
    assert error.value.exit_code is ExitCode.FAILED_CELLS
    assert problem(path, thorough=True) == error.value.what


def test_the_quick_look_does_not_decode(tmp_path: Path) -> None:
    assert problem(damaged(tmp_path, "truncated")) is None
    assert problem(damaged(tmp_path, "empty")) is not None
    assert problem(tmp_path / "whole.jpg", thorough=True) is None


def test_digests_are_of_the_bytes_and_made_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    image = FileImage("a.png", path, {"Smiling": 1})
    saved(path, Image.fromarray(PIXELS))
    assert image.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    path.unlink()
    assert image.digest == pickle.loads(pickle.dumps(image)).digest
    with pytest.raises(ImageError, match="no such file"):
        _ = FileImage("b.png", path).digest
