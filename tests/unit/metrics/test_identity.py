"""Identity networks, detector and alignment against reference values."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.errors import MissingError
from metrics.identity.alignment import REFERENCE, group_crop, lineage_fit, to_256, to_signed, umeyama_fit, warp
from metrics.identity.boxes import clip_and_pad, corrected, suppress, to_square
from metrics.identity.mtcnn import ONet, PNet, RNet, load_mtcnn
from metrics.identity.networks import curricularface
from metrics.identity.npy import read_arrays
from tests.filling import fill
from tests.unit.metrics.reference import arrays, images_u8, mtcnn_tensors, reference

Weights = Callable[[str], Path]
EXPECTED = arrays("identity")
TRANSFORMS = reference("face_align")["transforms"]


@torch.inference_mode()
def test_curricularface(weights: Weights) -> None:
    network = curricularface(weights("curricularface"))
    images = torch.stack([to_signed(image) for image in images_u8(0, 2, 112)])
    before: list[torch.Tensor] = []
    with network.output_layer.register_forward_hook(lambda module, taken, given: before.append(given)):
        embeddings = network(images).numpy()
    np.testing.assert_allclose(embeddings, EXPECTED["ir101_embedding"], atol=2e-5)
    # Before it is scaled to length one, too: a wrong scale would be lost in the embedding.
    scale = float(np.abs(EXPECTED["ir101_pre_norm"]).max())
    np.testing.assert_allclose(before[0].numpy(), EXPECTED["ir101_pre_norm"], atol=2e-5 * scale)
    assert float(embeddings[0] @ embeddings[1]) == pytest.approx(float(EXPECTED["ir101_dot"]), abs=1e-4)
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx([1, 1], abs=1e-5)
    # The channel order is part of the metric.
    bgr = network(images[:1].flip(1)).numpy()[0]
    assert float(embeddings[0] @ bgr) == pytest.approx(float(EXPECTED["ir101_bgr_dot_image0"]), abs=1e-4)


def test_wrong_identity_network_is_named(tmp_path: Path) -> None:
    torch.save({"input_layer.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(MissingError, match=r"CurricularFace.*missing"):
        curricularface(tmp_path / "other.pth")


@pytest.mark.parametrize(("net", "cls"), [("pnet", PNet), ("rnet", RNet), ("onet", ONet)])
@torch.inference_mode()
def test_detector_networks(net: str, cls: type[torch.nn.Module]) -> None:
    spec = reference("mtcnn.manifest")["nets"][net]["input"]
    x = torch.from_numpy(fill(spec["name"], tuple(spec["shape"]), spec["fill"]))
    network = cls()
    network.load_state_dict({name: torch.from_numpy(value) for name, value in mtcnn_tensors(net).items()}, strict=True)
    outputs = network(x)
    assert len(outputs) == sum(key.startswith(f"{net}_out") for key in EXPECTED)
    for index, output in enumerate(outputs):
        np.testing.assert_allclose(output.numpy(), EXPECTED[f"{net}_out{index}"], atol=2e-5, rtol=2e-5)


@torch.inference_mode()
def test_proposal_scores_are_normalised_along_the_width() -> None:
    scores = PNet()(torch.zeros(1, 3, 30, 40))[1]
    assert torch.allclose(scores.sum(dim=3), torch.ones(()))
    assert torch.allclose(PNet(axis=1)(torch.zeros(1, 3, 30, 40))[1].sum(dim=1), torch.ones(()))


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_fits_and_warp(name: str) -> None:
    case = TRANSFORMS[name]
    points = np.array(case["points"])
    matrix = lineage_fit(points)
    np.testing.assert_allclose(matrix, case["matrix_2x3"], atol=1e-9)
    np.testing.assert_allclose(umeyama_fit(points), case["umeyama_matrix_2x3"], atol=1e-5)
    crop = warp(images_u8(0, 1, 256)[0], matrix)
    assert crop.shape == (112, 112, 3)
    # OpenCV's bilinear weights are fixed-point: another build may differ by one level.
    difference = crop[40:72, 40:72].astype(int) - EXPECTED[f"warp_{name}_crop"].astype(int)
    assert np.abs(difference).max() <= 1
    assert int(crop.astype(np.int64).sum()) == pytest.approx(case["warped_sum"], rel=1e-3)


def test_reference_points() -> None:
    np.testing.assert_allclose(REFERENCE, reference("face_align")["reference_points_112x112"], rtol=1e-6)
    np.testing.assert_allclose(lineage_fit(REFERENCE), [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_strong_profile_gets_the_mirrored_fit() -> None:
    """The published quirk: landmarks squeezed to 0.35 of their width are fitted mirrored."""
    points = REFERENCE.copy()
    points[:, 0] = 56 + (points[:, 0] - 56) * 0.35
    assert np.linalg.det(lineage_fit(points)[:, :2]) < 0
    assert np.linalg.det(umeyama_fit(points)[:, :2]) > 0


def test_fixed_crop() -> None:
    images = torch.arange(256.0).view(1, 1, 1, 256).expand(1, 3, 256, 256)
    crop = group_crop(images)
    assert crop.shape == (1, 3, 112, 112)
    expected = torch.nn.functional.adaptive_avg_pool1d(torch.arange(32.0, 220.0).view(1, 1, -1), 112)[0, 0]
    assert torch.allclose(crop[0, 0, 0], expected)
    rows = group_crop(images.transpose(2, 3))
    assert torch.allclose(rows[0, 0, :, 0], expected + 3)
    image = images_u8(0, 1, 64)[0]
    assert to_256(image).shape == (256, 256, 3)


def test_boxes() -> None:
    boxes = np.array([[0, 0, 9, 9, 0.5], [1, 1, 10, 10, 0.9], [30, 30, 39, 39, 0.7], [2, 2, 5, 5, 0.6]], float)
    assert suppress(boxes, 0.5) == [1, 2, 3]
    # The small box lies inside: over the smaller area its overlap is whole.
    assert suppress(boxes, 0.5, smaller=True) == [1, 2]
    moved = corrected(boxes[:1], np.array([[0.1, 0, 0, -0.2]]))
    np.testing.assert_allclose(moved[0], [1, 0, 9, 7, 0.5])
    np.testing.assert_allclose(to_square(np.array([[10, 20, 19, 39, 1.0]]))[0], [5, 20, 24, 39, 1])


def test_cutting_clips_the_boxes_and_pads_the_crops() -> None:
    pixels = np.full((20, 30, 3), 7, np.uint8)
    clipped, crops = clip_and_pad(pixels, np.array([[-5, -2, 9, 12, 0.5], [25, 15, 34, 24, 0.6]]))
    np.testing.assert_allclose(clipped[:, :4], [[0, 0, 9, 12], [25, 15, 29, 19]])
    assert crops[0].shape == (15, 15, 3)
    assert (crops[0][:2] == 0).all()
    assert (crops[0][:, :5] == 0).all()
    assert (crops[0][2:, 5:] == 7).all()
    assert (crops[1][:5, :5] == 7).all()
    assert crops[1].astype(int).sum() == 5 * 5 * 3 * 7


def test_detector_without_a_face_says_so(weights: Weights) -> None:
    detector = load_mtcnn(weights("mtcnn"))
    assert detector.landmarks(np.zeros((16, 16, 3), np.uint8)) is None


def test_npy_files_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    for name in ("pnet", "rnet", "onet"):
        np.save(tmp_path / f"{name}.npy", np.array({"conv4_1.weight": Evil()}, dtype=object), allow_pickle=True)
    with pytest.raises(MissingError, match="nothing was run"):
        load_mtcnn(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert pickle.dumps(Evil())


def test_damaged_and_missing_npy_files_are_named(tmp_path: Path, weights: Weights) -> None:
    with pytest.raises(MissingError, match=r"pnet\.npy"):
        load_mtcnn(tmp_path)
    good = (weights("mtcnn") / "pnet.npy").read_bytes()
    (tmp_path / "pnet.npy").write_bytes(good[: len(good) // 2])
    with pytest.raises(MissingError, match=r"pnet\.npy.*(damaged|refused)"):
        read_arrays(tmp_path, ["pnet"])
    np.save(tmp_path / "pnet.npy", np.zeros(3))
    with pytest.raises(MissingError, match="not a dictionary"):
        read_arrays(tmp_path, ["pnet"])


def test_archives_work_like_folders(tmp_path: Path, weights: Weights) -> None:
    import shutil

    folder = weights("mtcnn")
    for archive in (
        shutil.make_archive(str(tmp_path / "a"), "gztar", folder),
        shutil.make_archive(str(tmp_path / "b"), "zip", folder),
    ):
        assert set(read_arrays(Path(archive), ["pnet", "onet"])) == {"pnet", "onet"}
    assert "rnet" in read_arrays(folder / "pnet.npy", ["rnet"])
