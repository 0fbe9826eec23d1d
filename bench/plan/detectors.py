"""The face detector that is at hand: the evaluator's own where its weights are here, else dlib's, else none."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.core.errors import MissingError
from bench.plan.checkpoints import network_path

if TYPE_CHECKING:
    import numpy as np

    from bench.data.face_search import FaceDetector
    from metrics.identity.mtcnn import Mtcnn


def face_detector() -> FaceDetector | None:
    """A detector, or None where neither MTCNN's weights nor the extra `align` are here.

    Raises MissingError for weights that are here and are others.
    """
    from bench.data.align.faces import find_faces, is_installed
    from bench.data.face_search import FaceDetector

    try:
        weights = network_path("mtcnn")
    except MissingError:
        if not is_installed():
            return None
        return FaceDetector("dlib", lambda pixels: bool(find_faces(pixels)))
    from metrics.identity.mtcnn import load_mtcnn

    return FaceDetector("MTCNN", partial(_sees, load_mtcnn(weights)))


def _sees(network: Mtcnn, pixels: np.ndarray) -> bool:
    return network.landmarks(pixels) is not None
