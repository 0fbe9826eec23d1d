"""Scores that directions are fitted to: every value that is none is refused with its line, or counted."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.edits.fit.fit_directions import Request, find
from bench.edits.fit.samples import Samples, measured, scores_of_file
from bench.world.generator import load_shipped_generator


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sample,smile\n\n0,nan\n", "line 3: nan is no score"),
        ("sample,smile\n0,0.5\n\n\n1,inf\n", "line 5: inf is no score"),
        ("sample,smile\n0,1e300\n", "line 2: 1e\\+300 is no score"),
        ("sample,smile\n0,0.5,\n", "line 2: expected a sample of 0 to 9 and 1 scores"),
        ("sample,smile\n0\n", "line 2: expected a sample of 0 to 9 and 1 scores"),
        ("sample,smile\n,0.5\n", "line 2: expected a sample's number"),
        ("sample,smile\n10,0.5\n", "line 2: expected a sample of 0 to 9"),
        ("sample,smile\n00001.png,0.5\n", "line 2: expected a sample's number"),
        ("sample,smile\n1,0.5\n\n1,0.6\n", "line 4: sample 1 is there twice"),
        ("sample,smile,smile\n1,0.5,0.6\n", "line 1: the column 'smile' is there twice"),
        ("sample,\n1,0.5\n", "wrong header"),
        ("smile,sample\n1,0.5\n", "wrong header"),
        ("sample,smile,age\n1,0.5,\n2,0.5,\n", "no sample has a score in the column 'age'"),
        ("sample,smile\n", "no sample has a score in the column 'smile'"),
    ],
)
def test_faults_of_a_file_of_scores(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(UsageError, match=fault):
        scores_of_file(tmp_path / "scores.csv", 10)


def test_a_file_of_scores_as_spreadsheets_write_it(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_bytes("\ufeffSample; smile\r\n 3; 0.5\r\n;\r\n 1; -2\r\n".encode())
    which, scores = scores_of_file(tmp_path / "scores.csv", 10)["smile"]
    assert (which.tolist(), scores.tolist()) == ([3, 1], [0.5, -2.0])


@pytest.fixture(scope="module")
def samples() -> Samples:
    generator = load_shipped_generator()
    codes = torch.randn(40, generator.config.style_dim, generator=torch.Generator().manual_seed(0))
    return Samples(codes, generator, lambda images: images, "cpu")


def test_samples_without_a_score_are_counted(tmp_path: Path, samples: Samples) -> None:
    rows = "".join(f"{at},{float(code[0]):.4f},{'' if at % 4 else 1}\n" for at, code in enumerate(samples.codes))
    (tmp_path / "scores.csv").write_text(f"sample,first,rare\n{rows}")
    request = Request(
        "faces", "regression", str(tmp_path / "scores.csv"), ("first",), 1, 0, tmp_path / "o.safetensors", "tests"
    )
    said: list[str] = []
    find(samples, request, said.append)
    assert said == []
    with pytest.raises(UsageError, match="too few"):
        (tmp_path / "few.csv").write_text("sample,first\n0,0.5\n")
        find(samples, Request(*{**vars(request), "labels": str(tmp_path / "few.csv")}.values()), said.append)
    assert said == ["few.csv: 39 of 40 samples have no first"]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda images: torch.full((len(images),), float("nan")), "gave nan as score of image 0"),
        (lambda images: {"smile": torch.arange(len(images)) / 0}, "gave nan as smile of image 0"),
        (lambda images: {}, "measures nothing of image 0"),
        (lambda images: "bright", "gave str, no tensor of scores"),
        (lambda images: {"smile": None}, "gave NoneType, no tensor of scores"),
    ],
)
def test_what_a_labeller_cannot_answer(samples: Samples, answer: object, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        measured(samples, answer, "mine", print)  # type: ignore[arg-type]


def test_a_labeller_that_forgets_an_attribute_is_refused(samples: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.edits.fit.samples._PIXELS", 20 * 64 * 64)

    def forgetful(images: Tensor) -> dict[str, Tensor]:
        forgetful.__dict__["asked"] = forgetful.__dict__.get("asked", 0) + 1
        own = {"smile": images.mean((1, 2, 3)), "age": images.amax((1, 2, 3))}
        return own if forgetful.__dict__["asked"] == 1 else {"smile": own["smile"]}

    with pytest.raises(UsageError, match="measures smile of image 20, and age, smile before"):
        measured(samples, forgetful, "mine", print)
