"""FFHQ's alignment: the square's geometry, and real photographs that come back to where they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import ImageError, UsageError
from bench.data import open_dataset
from bench.data.align.faces import Face, align, choose, find_faces
from bench.data.align.square import MOUTH_CORNERS, Square, cut, face_square

PHOTOGRAPHS = Path(__file__).parents[4] / "shared" / "data" / "celebahq" / "CelebA-HQ-img"
SIZE = 256


def landmarks(eyes: tuple[float, float], apart: float, drop: float, angle: float = 0.0) -> np.ndarray:
    """Landmarks (68, 2) of a face whose eyes are `apart` and whose mouth lies `drop` below them, turned by degrees."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = (-apart / 2, 0), (apart / 2, 0)
    points[MOUTH_CORNERS[0]], points[MOUTH_CORNERS[1]] = (-apart / 3, drop), (apart / 3, drop)
    turn = np.deg2rad(angle)
    return points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + np.array(eyes)


@pytest.mark.parametrize(("apart", "drop", "half"), [(60.0, 60.0, 120.0), (40.0, 80.0, 144.0)])
def test_the_square_is_two_eye_distances_or_1_8_mouth_distances_wide(apart: float, drop: float, half: float) -> None:
    square = face_square(landmarks((200.0, 150.0), apart, drop))
    assert square.side == pytest.approx(2 * half)
    centre = np.array([200.0, 150.0 + 0.1 * drop])
    expected = centre + half * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    assert np.allclose(square.corners, expected)


def test_the_square_turns_with_the_face() -> None:
    straight, turned = (face_square(landmarks((0.0, 0.0), 50.0, 60.0, angle)).corners for angle in (0.0, 30.0))
    turn = np.deg2rad(30.0)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert np.allclose(turned, straight @ rotation)


def test_a_square_that_is_the_image_gives_the_image_back() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((128, 128), Image.Resampling.BICUBIC))
    whole = Square(np.array([[-0.5, -0.5], [-0.5, 127.5], [127.5, 127.5], [127.5, -0.5]]))
    back = cut(image, whole, 128).astype(int)
    inner = slice(16, -16)
    assert np.abs(back[inner, inner] - image[inner, inner]).mean() < 3


def test_what_lies_outside_the_photograph_is_filled() -> None:
    image = np.full((64, 64, 3), 200, np.uint8)
    corner = Square(np.array([[-40.0, -40.0], [-40.0, 40.0], [40.0, 40.0], [40.0, -40.0]]))
    assert cut(image, corner, 64).min() > 150


def test_faces_are_chosen_or_asked_for() -> None:
    faces = [Face((0, 0, 1, 1), landmarks((50.0, 50.0), size, size)) for size in (40.0, 20.0)]
    assert choose(faces[:1], "a.jpg") is faces[0]
    assert choose(faces, "a.jpg", 2) is faces[1]
    with pytest.raises(UsageError, match="2 faces"):
        choose(faces, "a.jpg")
    with pytest.raises(UsageError, match="no face 3"):
        choose(faces, "a.jpg", 3)
    with pytest.raises(ImageError, match="no face was found"):
        choose([], "a.jpg")


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs lie outside the repository")
@pytest.mark.parametrize("name", ["116.jpg", "1219.jpg", "2.jpg"])
def test_photographs_come_back(name: str) -> None:
    pytest.importorskip("dlib", reason="the extra align is not installed")
    with Image.open(PHOTOGRAPHS / name) as file:
        image = np.asarray(file.convert("RGB").resize((512, 512), Image.Resampling.LANCZOS))
    once = align(image, SIZE)
    (found,) = find_faces(once)

    def moved(other: np.ndarray) -> float:
        """Mean distance of the landmarks in pixels at 256."""
        return float(np.hypot(*(find_faces(other)[0].landmarks - found.landmarks).T).mean())

    assert moved(align(once, SIZE)) <= 2
    padded = Image.fromarray(np.pad(image, ((256, 256), (256, 256), (0, 0)), "reflect"))
    turned = np.asarray(padded.rotate(15, Image.Resampling.BICUBIC))
    back = cut(turned, find_faces(turned)[0].square, SIZE)
    assert moved(back) <= 4


@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="the photographs lie outside the repository")
def test_a_folder_of_photographs_is_aligned_as_it_is_read(tmp_path: Path) -> None:
    pytest.importorskip("dlib", reason="the extra align is not installed")
    with Image.open(PHOTOGRAPHS / "116.jpg") as one, Image.open(PHOTOGRAPHS / "1219.jpg") as other:
        both = Image.new("RGB", (2 * one.width, one.height))
        both.paste(one, (0, 0))
        both.paste(other, (one.width, 0))
        both.save(tmp_path / "both.jpg")
        one.rotate(15, Image.Resampling.BICUBIC).save(tmp_path / "one.jpg")
    for face, fails in ((0, {"both.jpg"}), (1, set()), (2, {"one.jpg"})):
        data = open_dataset("folder", tmp_path, "all", face=face)
        failed = set()
        for image in data.images:
            try:
                assert data.read(image).shape == (1024, 1024, 3)
            except ImageError:
                failed.add(image.name)
        assert failed == fails
