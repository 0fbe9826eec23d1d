"""insightface's face detector for `standard-1`: five landmarks of the main face.

The library would download models at first use; it is handed the bytes of the pack our registry fetched instead. The
models (not the library) are for non-commercial research only. Source: anchors/ecosystem card, trap 7.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.core.archives import read_member, zip_members
from bench.core.errors import MissingError
from bench.core.files import regular_size

_NEXT = "run_bench.py weights fetch insightface-buffalo_l"
# The largest of insightface's has 17 MB.
_MOST = 64 << 20


def load_detector(
    path: str | Path, *, side: int = 256, threshold: float = 0.5
) -> Callable[[np.ndarray], np.ndarray | None]:
    """A function uint8 (h, w, 3) RGB -> (5, 2) landmarks (x, y) in pixels of the main face, or None without a face.

    The main face is the library's choice for one face: the largest, less twice the squared distance from the centre.

    Args:
        path: The pack: a folder or zip with `det_*.onnx`, or that file.
        side: Images are looked at as side x side, a multiple of 32.
        threshold: Smallest detection score.

    Raises:
        MissingError: There is no detector in `path`, or it is damaged or of another kind.
    """
    import onnxruntime
    from insightface.model_zoo import SCRFD

    try:
        session = onnxruntime.InferenceSession(_model(Path(path)), providers=["CPUExecutionProvider"])
        detector = SCRFD(session=session)
    except MissingError:
        raise
    except Exception as error:  # onnxruntime raises its own classes, without a common base that it exports
        raise MissingError(f"the face detector in {path} cannot be loaded ({error})", _NEXT) from None
    detector.prepare(-1, det_thresh=threshold, input_size=(side, side))
    if not detector.use_kps:
        raise MissingError(f"the face detector in {path} gives no landmarks", _NEXT)

    def landmarks(pixels: np.ndarray) -> np.ndarray | None:
        # The library counts in BGR.
        _, points = detector.detect(np.ascontiguousarray(pixels[..., ::-1]), max_num=1)
        return None if points is None or not len(points) else np.asarray(points[0], dtype=np.float64)

    return landmarks


def _bytes(path: Path) -> bytes:
    if regular_size(path) > _MOST:
        raise OSError("it is larger than a face detector")
    return path.read_bytes()


def _model(path: Path) -> bytes:
    """Bytes of the detector's ONNX file."""
    try:
        if path.is_dir() and (files := sorted(path.rglob("det_*.onnx"))):
            return _bytes(files[0])
        if path.suffix == ".onnx" and path.is_file():
            return _bytes(path)
        if path.is_file() and zipfile.is_zipfile(path):
            members = {item.filename: item for item in zip_members(path)}
            names = sorted(name for name in members if Path(name).match("det_*.onnx"))
            with zipfile.ZipFile(path) as pack:
                return read_member(pack, members[names[0]], _MOST) if names else b""
    except (OSError, zipfile.BadZipFile) as error:
        raise MissingError(f"the face detector in {path} cannot be read ({error})", _NEXT) from None
    raise MissingError(f"no face detector (det_*.onnx) in {path}", _NEXT)
