"""From texts to style offsets, with a stand-in for CLIP; and StyleCLIP's statistics, read safely."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cli import main
from bench.core.errors import MissingError, UsageError
from bench.edits import text_direction
from bench.edits.direction_files import read_tensor
from bench.edits.style_files import style_widths
from bench.edits.text_direction import Texts, convolution_deviations, read_frames, text_vector, write_relevance
from methods.nets.stylegan2 import GeneratorConfig

CONVOLUTIONS = style_widths(GeneratorConfig())
# conv1, to_rgb1, then two convolutions and a to-RGB at every size.
STYLES = [512, 512, *(w for k in range(8) for w in (*CONVOLUTIONS[2 * k + 1 : 2 * k + 3], CONVOLUTIONS[2 * k + 2]))]


def encode(sentences: Sequence[str]) -> torch.Tensor:
    """Features by which letters a sentence has."""
    return torch.tensor([[1.0 + text.count(letter) for letter in "abcd"] for text in sentences])


def statistics(path: Path) -> Path:
    means = [np.zeros((1, width, 1, 1), np.float32) for width in STYLES]
    stds = [np.full((1, width, 1, 1), number, np.float32) for number, width in enumerate(STYLES)]
    path.write_bytes(pickle.dumps([means, stds]))
    return path


def test_the_vector_goes_from_neutral_to_target() -> None:
    frames = ("{}", "a photo of {}")
    found = text_vector(encode, Texts("a", "ab", frames))
    features = []
    for text in ("a", "ab"):
        units = [torch.nn.functional.normalize(encode([frame.format(text)])[0], dim=0) for frame in frames]
        features.append(torch.nn.functional.normalize(sum(units), dim=0))  # type: ignore[arg-type]
    torch.testing.assert_close(found, torch.nn.functional.normalize(features[1] - features[0], dim=0))
    with pytest.raises(UsageError, match="says the same as"):
        text_vector(encode, Texts("a", "a"))


def test_relevances_and_deviations_are_written(tmp_path: Path) -> None:
    random = np.random.RandomState(0).standard_normal((6048, 4)).astype(np.float32)
    np.save(tmp_path / "fs3.npy", random)
    vector = torch.tensor([1.0, 0.0, 0.0, 0.0])
    output = tmp_path / "glasses.safetensors"
    assert write_relevance(vector, tmp_path / "fs3.npy", statistics(tmp_path / "S_mean_std"), output) == 6048
    np.testing.assert_allclose(read_tensor(output, "relevance").numpy(), random[:, 0])
    std = read_tensor(output, "std")
    # Convolution k has the style 0, 2, 3, 5, 6, ...: to-RGB entries are left out.
    expected = [number for number in range(26) if number % 3 != 1]
    assert [float(part[0]) for part in std.split(CONVOLUTIONS)] == expected
    np.save(tmp_path / "fs3.npy", random[:99])
    with pytest.raises(MissingError, match=r"shape \[99, 4\], expected \[6048 or 5376, 4\]"):
        write_relevance(vector, tmp_path / "fs3.npy", tmp_path / "S_mean_std", output)


class _Harm:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("echo harm",)


@pytest.mark.parametrize("content", [[_Harm(), _Harm()], [[np.array([{}], object)] * 26] * 2, "text", [[], []]])
def test_other_pickles_are_refused(tmp_path: Path, content: Any) -> None:
    (tmp_path / "S_mean_std").write_bytes(pickle.dumps(content))
    with pytest.raises(MissingError, match="S_mean_std"):
        convolution_deviations(tmp_path / "S_mean_std")


def test_frames_have_one_place(tmp_path: Path) -> None:
    assert read_frames(None) == ("{}",)
    (tmp_path / "t.txt").write_text("a photo of {}\n\na painting of {}\n")
    assert read_frames(tmp_path / "t.txt") == ("a photo of {}", "a painting of {}")
    (tmp_path / "t.txt").write_text("a photo\n")
    with pytest.raises(MissingError, match=r"expected sentences with one \{\}"):
        read_frames(tmp_path / "t.txt")


def test_the_command_writes_a_file_and_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "fs3.npy", np.random.RandomState(0).standard_normal((6048, 4)).astype(np.float32))
    statistics(tmp_path / "S_mean_std")
    monkeypatch.setattr(text_direction, "clip_text_encoder", lambda weights: encode)
    words = ["edits", "text", "--neutral", "a", "--target", "ab", "--fs3", str(tmp_path / "fs3.npy")]
    words += ["--statistics", str(tmp_path / "S_mean_std"), "--output", str(tmp_path / "more_b.safetensors")]
    assert main(words) == 0
    card = (tmp_path / "more_b.toml").read_text()
    assert 'rule = "style"' in card and 'file = "more_b.safetensors"' in card
    from bench.edits.cards import find_card
    from bench.edits.directions import load_direction

    found = find_card("more_b", "ffhq-1024", [tmp_path / "more_b.toml"])
    direction = load_direction(found, lambda name: tmp_path / name, generator="ffhq-1024", latent_rows=18)
    assert direction.styles is not None and list(direction.styles) == list(range(11))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingError, match="texts need CLIP") as error:
        text_direction.clip_text_encoder("openai")
    assert "warpres-bench[text]" in error.value.next_step
