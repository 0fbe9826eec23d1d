"""`edits fit` through the command line: directions and cards of any generator, and what it refuses by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.cli import main
from bench.core.checkpoint import write_safetensors
from bench.edits.cards import all_cards, read_card
from bench.edits.direction_files import read_file, read_tensor
from bench.edits.fit.estimators import ends
from bench.edits.fit.samples import draw, drawn_from
from bench.world.generator import load_shipped_generator
from bench.world.networks import load_world_networks
from methods import load_method
from methods.nets.configs import to_dict
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator, GeneratorConfig
from tests.unit.methods.small import BACKBONE, seeded, tensors_of

TINY = GeneratorConfig(size=32, style_dim=24, mapping_layers=2, channels={4: 16, 8: 16, 16: 12, 32: 8})
BRIGHT = "def bright(pictures):\n    return pictures.mean((1, 2, 3))\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(BRIGHT)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A small e4e of 32 px: another size than the world's, the faces' and the cars'."""
    encoder = PyramidConfig(backbone=BACKBONE, rows=8, style_dim=24, wiring="deltas", middle=5,
                            depths=PyramidConfig.depths_for(BACKBONE, 32))  # fmt: skip
    torch.manual_seed(0)
    networks = {"encoder": seeded(PyramidEncoder(encoder)), "decoder": Generator(TINY)}
    metadata = {"method": "e4e", "domain": "faces", "config": {"generator": to_dict(TINY), "encoder": to_dict(encoder)}}
    write_safetensors(tmp_path / "tiny.safetensors", tensors_of(networks), metadata)
    return tmp_path / "tiny.safetensors"


def _fit(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["edits", "fit", "--json", *words]) == 0, capsys.readouterr().err
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def _refused(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    assert main(["edits", "fit", *words]) == code
    said = capsys.readouterr()
    assert said.out == "" and "internal fault" not in said.err
    return said.err


@pytest.mark.parametrize("method", ["e4e", "styleres", "warpres"])
def test_the_worlds_generator_in_every_method_gives_a_card_that_edits_takes(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = _fit(
        capsys, "--method", method, "--samples", "300", "--attributes", "smile", "--output", "my-own.safetensors"
    )
    assert facts["generator"] == "synthetic-64"
    assert float(facts["smile"].split()[1]) > 0.5
    (path,) = facts["cards"]
    card = read_card(Path(path).read_text(), path)
    assert (card.name, card.key, card.rule) == ("my_own_smile", "smile", "add")
    assert "my_own_smile" in [item.name for item in all_cards([Path(path)])]
    assert "the synthetic world's regressor" in card.origin
    # Going a card's strength along it, the images smile more.
    world, evaluator = load_shipped_generator(), load_world_networks()
    step = card.columns[0].strength * read_tensor(Path("my-own.safetensors"), "smile")
    codes = draw(world, 50, seed=9).codes
    more, less = (evaluator.attributes(world(world.broadcast(codes + sign * step)))["smile"].mean() for sign in (1, -1))
    assert float(more - less) > 0.2
    if method == "e4e":
        words = ["--methods", "e4e", "--card", path, "--edits", card.name, "--limit", "8", "--output", "runs"]
        assert main([*words, "--device", "cpu"]) == 0
        (manifest,) = Path("runs").glob("*/manifest.json")
        strengths = {item["column"]: item["strength"] for item in json.loads(manifest.read_text())["passes"]}
        assert strengths["my_own_smile+"] == -strengths["my_own_smile-"] == card.columns[0].strength > 0


def test_a_generator_of_another_size_takes_a_function_and_its_card_works_in_a_run(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--method", "e4e", "--checkpoint", str(tiny), "--samples", "400", "--output", "tiny-ways.safetensors"]
    facts = _fit(capsys, *words, "--labels", "mine.py:bright")
    assert facts["generator"] == "faces-32"
    assert float(facts["score"].split()[1]) > 0.5
    (path,) = facts["cards"]
    assert "scored by mine.py:bright" in read_card(Path(path).read_text(), path).origin
    (tmp_path / "faces").mkdir()
    for index in range(3):
        Image.new("RGB", (256, 256), (80 * index, 60, 90)).save(tmp_path / f"faces/{index}.png")
    (tmp_path / "plain.toml").write_text(
        "methods = ['e4e']\nprotocols = ['standard-1']\n[data]\nname = 'folder'\nsplit = 'all'\n"
    )
    run = ["--preset", "paper-faces", "--config", "plain.toml", "--data", str(tmp_path / "faces"), "--output", "runs"]
    run += ["--checkpoint", f"e4e={tiny}", "--card", path, "--edits", "tiny_ways_score", "--name", "tiny"]
    assert main([*run, "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in Path("runs/tiny/rows/0.jsonl").read_text().splitlines()]
    values = {row["pass"]: row["values"]["mse"] for row in rows if row["method"] == "e4e" and row["picture"] == "1.png"}
    assert len({values[name] for name in ("reconstruction", "tiny_ways_score+", "tiny_ways_score-")}) == 3


@pytest.mark.parametrize("kind", ["regression", "boundary"])
def test_scores_of_a_file_by_sample_number(kind: str, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--generator", str(tiny), "--samples", "300", "--seed", "3"]
    assert _fit(capsys, *words, "--images", "seen")["images"] == 300
    scores = [np.asarray(Image.open(f"seen/{i:05d}.png")).mean() for i in range(300)]
    # Every tenth was not scored.
    lines = [f"{i},{score},{'' if i % 2 else 1}" for i, score in enumerate(scores) if i % 10]
    Path("scores.csv").write_text("sample,light,unused\n" + "\n".join(lines) + "\n")
    facts = _fit(
        capsys, *words, "--labels", "scores.csv", "--kind", kind, "--attributes", "light", "--output", "o.safetensors"
    )
    assert float(facts["light"].split()[1]) > 0.6
    byhand = _fit(capsys, *words, "--labels", "mine.py:bright", "--output", "f.safetensors")
    assert byhand["file"] == "f.safetensors"
    found, same = read_tensor(Path("o.safetensors"), "light"), read_tensor(Path("f.safetensors"), "score")
    assert float(found @ same) > 0.7


def test_components_of_any_generator_with_a_card(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = _fit(capsys, "--generator", str(tiny), "--kind", "pca", "--samples", "100", "--output", "ways.safetensors")
    assert (facts["components"], facts["generator"]) == (24, "faces-32")
    card = read_card(Path("ways_0.toml").read_text(), "ways_0.toml")
    assert (card.rule, card.component, card.layers, card.dim) == ("set_coordinate", 0, (0, 8), 24)
    assert read_file(Path("ways.safetensors"))["comp"].shape == (24, 1, 24)


def test_a_regressor_of_the_wrong_size_is_refused_by_name(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = _refused(capsys, "--generator", str(tiny), "--samples", "20", "--output", "o.safetensors")
    assert "the synthetic world's regressor measures the world's images of 64 px, not those of faces-32" in said
    assert "--labels" in said
    Path("other.py").write_text("def judge(pictures):\n    return pictures.reshape(len(pictures), 99)\n")
    said = _refused(
        capsys, "--generator", str(tiny), "--samples", "20", "--labels", "other.py:judge", "--output", "o.safetensors"
    )
    assert "other.py:judge cannot judge images of 32x32" in said


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--output", "o.safetensors"], 2, "one generator"),
        (["--method", "e4e"], 2, "a file to write"),
        (["--method", "e4e", "--labels", "mine.py:dark", "--output", "o.safetensors"], 2, "no function 'dark'"),
        (["--method", "e4e", "--labels", "none.py:bright", "--output", "o.safetensors"], 3, "no such file"),
        (["--method", "e4e", "--labels", "scores", "--output", "o.safetensors"], 2, "MODULE:FUNCTION"),
        (["--method", "e4e", "--labels", "none.csv", "--output", "o.safetensors"], 3, "cannot be read"),
        (["--method", "e4e", "--labels", "head.csv", "--output", "o.safetensors"], 2, "wrong header"),
        (["--method", "e4e", "--labels", "row.csv", "--output", "o.safetensors"], 2, "row.csv, line 3"),
        (["--method", "e4e", "--labels", "twice.csv", "--output", "o.safetensors"], 2, "there twice"),
        (["--method", "e4e", "--attributes", "hats", "--output", "o.safetensors"], 2, "measured: smile, yaw, age"),
        (["--method", "e4e", "--domain", "cars", "--output", "o.safetensors"], 3, "faces"),
        (["--generator", "mine.py", "--output", "o.safetensors"], 3, "mine.py"),
    ],
)
def test_mistakes_are_named(words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("head.csv").write_text("0,0.5\n1,0.6\n")
    Path("row.csv").write_text("sample,smile\n0,0.5\n77,0.6\n")
    Path("twice.csv").write_text("sample,smile\n0,0.5\n0,0.6\n")
    assert says in _refused(capsys, *words, "--samples", "20", code=code)


def test_the_ends_of_scores() -> None:
    which, signs = ends(torch.tensor([1.0, 0.0, -1.0]))
    assert (which.tolist(), signs.tolist()) == ([0, 1, 2], [1.0, -1.0, -1.0])
    which, signs = ends(torch.tensor([5.0, 1.0, 3.0, 9.0, 4.0, 2.0, 7.0, 8.0, 6.0, 0.5]))
    assert sorted(which[signs > 0].tolist()) == [3, 6, 7]
    assert sorted(which[signs < 0].tolist()) == [1, 5, 9]


def test_samples_are_drawn_from_whatever_offers_a_generator(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("e4e", "warpres"):
        method = drawn_from(load_method(name, weights="synthetic"))
        assert method.sampled_generator.config.size == 64
        assert method.crop(torch.zeros(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    plug_in = (
        "from methods.registry import MethodEntry\n"
        "from tests.unit.doubles import PoolingMethod\n"
        "METHODS = (MethodEntry('plain', lambda entry, domain, files: PoolingMethod(), files=()),)\n"
    )
    Path("plain.py").write_text(plug_in)
    assert main(["edits", "fit", "--method", "plain", "--plugin", "plain.py", "--output", "a.safetensors"]) == 2
    assert "no generator with a mapping network to sample from" in capsys.readouterr().err
