"""insightface's detector behind our loader, with a tiny ONNX model that sees one face where the image is bright."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench.core.errors import MissingError
from metrics.identity.insightface import load_detector

SIDE = 64


def write_detector(path: Path, outputs: int = 9) -> None:
    """A detector of SCRFD's form (strides 8, 16, 32, two anchors a cell; score, box, landmarks each).

    Scores are the mean brightness of the whole image in one cell of stride 8, else 0; box and landmarks are
    constants.
    """
    nodes = [helper.make_node("ReduceMean", ["input", "axes"], ["bright"], keepdims=0)]
    constants = [numpy_helper.from_array(np.array([0, 1, 2, 3], np.int64), "axes")]
    names = []
    for stride in (8, 16, 32):
        cells = (SIDE // stride) ** 2 * 2
        mask = np.zeros((cells, 1), np.float32)
        mask[2 * (3 * 8 + 4) if stride == 8 else 0, 0] = stride == 8
        constants.append(numpy_helper.from_array(mask, f"mask{stride}"))
        nodes.append(helper.make_node("Mul", [f"mask{stride}", "bright"], [f"score{stride}"]))
        names.append((f"score{stride}", (cells, 1)))
    for form, width in (("box", 4), ("points", 10))[: outputs // 3 - 1]:
        for stride in (8, 16, 32):
            cells = (SIDE // stride) ** 2 * 2
            value = (
                np.ones((cells, width), np.float32)
                if form == "box"
                else np.tile(np.arange(10, dtype=np.float32) / 10, (cells, 1))
            )
            constants.append(numpy_helper.from_array(value, f"c{form}{stride}"))
            nodes.append(helper.make_node("Identity", [f"c{form}{stride}"], [f"{form}{stride}"]))
            names.append((f"{form}{stride}", (cells, width)))
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in names],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "buffalo_l"
    folder.mkdir()
    write_detector(folder / "det_10g.onnx")
    return folder


def test_landmarks_of_the_face_it_sees(pack: Path) -> None:
    detect = load_detector(pack, side=SIDE)
    points = detect(np.full((SIDE, SIDE, 3), 255, np.uint8))
    assert points is not None
    # Cell (row 3, column 4) of stride 8 is centred at (32, 24); landmark i is i/10 strides right or down of it.
    expected = np.array([32, 24]) + np.arange(10).reshape(5, 2) / 10 * 8
    np.testing.assert_allclose(points, expected, atol=1e-3)


def test_images_of_another_size_are_scaled_back(pack: Path) -> None:
    points = load_detector(pack, side=SIDE)(np.full((2 * SIDE, 2 * SIDE, 3), 255, np.uint8))
    assert points is not None
    np.testing.assert_allclose(points[0], [64, 2 * (24 + 0.1 * 8)], atol=1e-2)


def test_no_face(pack: Path) -> None:
    assert load_detector(pack, side=SIDE)(np.zeros((SIDE, SIDE, 3), np.uint8)) is None
    assert load_detector(pack, side=SIDE, threshold=0.999)(np.full((SIDE, SIDE, 3), 250, np.uint8)) is None


def test_pack_as_zip_or_file(pack: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.write(pack / "det_10g.onnx", "buffalo_l/det_10g.onnx")
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert load_detector(tmp_path / "pack.zip", side=SIDE)(white) is not None
    assert load_detector(pack / "det_10g.onnx", side=SIDE)(white) is not None


def test_wrong_packs_are_named(tmp_path: Path, pack: Path) -> None:
    with pytest.raises(MissingError, match="det_"):
        load_detector(tmp_path / "nowhere")
    (pack / "det_10g.onnx").write_bytes(b"not a model")
    with pytest.raises(MissingError, match="cannot be loaded"):
        load_detector(pack)
    write_detector(pack / "det_10g.onnx", outputs=6)
    with pytest.raises(MissingError, match="no landmarks"):
        load_detector(pack, side=SIDE)
