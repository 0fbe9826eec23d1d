"""From two texts to style offsets: StyleCLIP's global directions (edits card, section 2.2).

Only here is CLIP needed, and only its text tower; a file of offsets, once made, needs none. What `fs3` and the
statistics are is said by their loaders.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.checkpoint import save_tensors
from bench.core.errors import MissingError, UsageError
from bench.core.files import read_lines, regular_size
from bench.core.pickles import Allowed, look_through
from bench.edits.direction_files import read_tensor
from bench.edits.style_files import APPLIED_LAYERS, style_widths
from methods.nets.stylegan2 import GeneratorConfig

# Texts -> CLIP text features (N, 512).
Encode = Callable[[Sequence[str]], Tensor]
_EXTRA = 'pip install "warpres-bench[text]"'
# Every third style is a to-RGB's: conv1, to_rgb1, then convolution, convolution, to-RGB at every size.
_STYLES = 26


@dataclass(frozen=True)
class Texts:
    """What an edit goes from and to, and the sentences both are put into.

    Attributes:
        neutral: "face".
        target: "face with glasses".
        frames: Sentences with one {} each; the features of all are averaged.
    """

    neutral: str
    target: str
    frames: tuple[str, ...] = ("{}",)


def text_vector(encode: Encode, texts: Texts) -> Tensor:
    """Unit vector (512,) from the neutral text to the target in CLIP's space."""
    start, end = (
        _feature(encode, [frame.format(text) for frame in texts.frames]) for text in (texts.neutral, texts.target)
    )
    difference = end - start
    length = difference.norm()
    if float(length) == 0:
        raise UsageError(f"{texts.target!r} says the same as {texts.neutral!r}", "name a target that differs")
    return difference / length


def _feature(encode: Encode, sentences: Sequence[str]) -> Tensor:
    features = encode(sentences).float()
    mean = (features / features.norm(dim=1, keepdim=True)).mean(0)
    return mean / mean.norm()


def write_relevance(vector: Tensor, fs3: Path, statistics: Path, output: Path) -> int:
    """Write {"relevance", "std"} of all convolution styles, as `style_files` reads it; returns the channels.

    Args:
        vector: (512,), see `text_vector`.
        fs3: .npy, one unit CLIP vector per style channel, (6048 or 5376, 512).
        statistics: `S_mean_std`, a pickle of [26 means, 26 deviations].
    """
    channels = read_tensor(fs3)
    widths = style_widths(GeneratorConfig())
    known = (sum(widths), sum(widths[:APPLIED_LAYERS]))
    if channels.ndim != 2 or len(channels) not in known or channels.shape[1] != len(vector):
        raise MissingError(f"{fs3}: shape {list(channels.shape)}, expected [{known[0]} or {known[1]}, {len(vector)}]")
    relevance = channels @ vector
    std = torch.cat(convolution_deviations(statistics))[: len(relevance)]
    save_tensors(output, {"relevance": relevance, "std": std})
    return len(relevance)


def convolution_deviations(path: Path) -> list[Tensor]:
    """Deviations (C,) of the 17 convolution styles in `S_mean_std`, read without running anything of the pickle.

    Raises MissingError for another file, or one that asks for more than arrays.
    """
    try:
        size = regular_size(path)
        with path.open("rb") as file:
            look_through(file, size, _NAMES)
            file.seek(0)
            content: Any = _Arrays(file).load()
        means, deviations = content
        tensors = [torch.from_numpy(np.asarray(value, np.float32)).flatten() for value in deviations]
    except OSError as error:
        raise MissingError(f"{path}: {error.strerror}") from None
    except Exception as error:  # whatever another pickle makes of the reader
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise MissingError(f"{path} is no S_mean_std of StyleCLIP ({said}); nothing of it was run") from None
    if len(tensors) != _STYLES or len(means) != _STYLES:
        raise MissingError(f"{path}: {len(tensors)} styles, expected {_STYLES}")
    found = [tensor for number, tensor in enumerate(tensors) if number % 3 != 1]
    if [len(tensor) for tensor in found] != style_widths(GeneratorConfig()):
        raise MissingError(f"{path}: its styles are not those of the 1024 px generator")
    return found


_NAMES = Allowed(
    frozenset({"numpy.dtype", *(f"numpy.{core}.multiarray._reconstruct" for core in ("core", "_core"))}),
    re.compile(r"numpy\.ndarray"),
)


class _Arrays(pickle.Unpickler):
    """NumPy arrays of numbers, lists and tuples; nothing else."""

    def find_class(self, module: str, name: str) -> object:
        """What rebuilds an array of numbers; refuses every other name."""
        place = module.replace("numpy._core", "numpy.core")
        if (place, name) == ("numpy.core.multiarray", "_reconstruct"):
            return _reconstruct
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        raise pickle.UnpicklingError(f"forbidden global {module}.{name}")


def _reconstruct(kind: object, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if kind is not np.ndarray or np.dtype(dtype).hasobject:
        raise pickle.UnpicklingError("an array of objects")
    return np.ndarray(shape, dtype)


def clip_text_encoder(weights: str) -> Encode:
    """CLIP ViT-B/32's text tower in float32, of a file or of a name that open_clip knows ("openai").

    Raises MissingError where open_clip is not installed.
    """
    try:
        import open_clip
    except ImportError:
        raise MissingError("texts need CLIP, which is not installed", f"{_EXTRA}; offsets (.npy) need none") from None
    model, _, _ = open_clip.create_model_and_transforms("ViT-B-32-quickgelu", pretrained=weights, precision="fp32")
    model.eval()
    tokenizer = open_clip.get_tokenizer("ViT-B-32-quickgelu")

    def encode(sentences: Sequence[str]) -> Tensor:
        with torch.inference_mode():
            found: Tensor = model.encode_text(tokenizer(list(sentences)))
        return found

    return encode


def read_frames(path: Path | None) -> tuple[str, ...]:
    """Sentences of a file, one a line with one {} each; the text alone without a file. Raises MissingError."""
    if path is None:
        return ("{}",)
    try:
        lines = [line.strip() for _, line in read_lines(path) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(f"{path}: cannot be read ({error})") from None
    wrong = next((line for line in lines if line.count("{}") != 1), None)
    if wrong is not None or not lines:
        raise MissingError(f"{path}: expected sentences with one {{}} each, found {wrong or 'none'!r}")
    return tuple(lines)
