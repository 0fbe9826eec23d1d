"""Tables 2 and 3 from data to page with filled weights: the numbers mean nothing, that nothing in the path breaks does.

By default one method each. WARPRES_BENCH_ALL_METHODS=1 runs every method of the presets (an hour, 20 GB of disk).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bench.cli import main
from bench.synthetic.export import export
from bench.weights import registry
from bench.weights.load import write_safetensors
from tests import filling
from tests.unit.metrics.reference import write_networks

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
ALL = os.environ.get("WARPRES_BENCH_ALL_METHODS") == "1"
FACES = {
    "psp": "psp_ffhq",
    "e4e": "e4e_ffhq",
    "restyle": "restyle_e4e_ffhq",
    "hyperstyle": "hyperstyle_ffhq",
    "hfgi": "hfgi_ffhq",
    "styletransformer": "style_transformer_ffhq",
    "featurestyle": "feature_style_ffhq",
    "styleres": "styleres_ffhq",
}
CARS = {
    "e4e": "e4e_cars",
    "restyle": "restyle_e4e_cars",
    "hyperstyle": "hyperstyle_cars",
    "styletransformer": "style_transformer_cars",
}
NETWORKS = ("inception-imagenet", "inception-fid", "alexnet-imagenet", "vgg16-imagenet", "curricularface", "mtcnn")

pytestmark = [pytest.mark.slow, pytest.mark.parity]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with every auxiliary network, filled, where the registry looks for it."""
    folder = tmp_path_factory.mktemp("filled")
    write = write_networks(folder)
    for name in NETWORKS:
        item, made = registry.entry(name), write(name)
        target = folder / "home" / "weights" / name
        target.mkdir(parents=True)
        for source in sorted(made.iterdir()) if made.is_dir() else [made]:
            (target / (source.name if made.is_dir() else item.file)).symlink_to(source)
    return folder / "home"


def _checkpoints(methods: dict[str, str], folder: Path) -> list[str]:
    words: list[str] = []
    for method, golden in methods.items():
        words += ["--checkpoint", f"{method}={','.join(map(str, filling.write(golden, folder / method)))}"]
    return words


def _warpres(folder: Path, base: str) -> list[str]:
    """WarpRes at full size, as initialised, on a filled e4e: nobody released its weights."""
    from methods.nets.configs import to_dict
    from methods.warpres.network import WarpRes
    from methods.warpres.presets import preset

    torch.manual_seed(0)
    config = preset("warpres")
    model = WarpRes(config)  # type: ignore[arg-type]
    tensors = {f"warpres.{name}": value for name, value in model.state_dict().items()}
    domain = "cars" if "cars" in base else "faces"
    about = {"method": "warpres", "domain": domain, "config": {"warpres": to_dict(config)}, "made": {}}
    write_safetensors(folder / "warpres.safetensors", tensors, about)
    (encoder,) = filling.write(base, folder / "e4e")
    return ["--checkpoint", f"warpres={encoder},{folder / 'warpres.safetensors'}"]


def _config(folder: Path) -> Path:
    file = folder / "filled.toml"
    file.write_text("filled_weights = true\n")
    return file


def _digests(run: Path) -> dict[str, str]:
    files = sorted(path for path in (run / "tables").rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Ctrl-C when so many rows have been appended."""
    from bench.store import ShardWriter

    append, done = ShardWriter.append, [0]

    def counted(self: ShardWriter, entries: list[object]) -> None:
        append(self, entries)  # type: ignore[arg-type]
        done[0] += len(entries)
        if done[0] >= count:
            raise KeyboardInterrupt

    monkeypatch.setattr(ShardWriter, "append", counted)
    return monkeypatch.undo


def _finished_table(words: list[str], run: Path, number: int, methods: list[str]) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["filled_weights"] is True
    assert set(manifest["protocols"]) == {"paper-1", "standard-1"}
    rows = [json.loads(line) for line in (run / "rows/0.jsonl").read_text().splitlines()]
    assert {row["method"] for row in rows} == {"real", "real-jpeg", *methods}
    assert not [row["reason"] for row in rows if row["status"] == "failed"]
    for protocol in manifest["protocols"]:
        (table,) = (run / "tables").glob(f"table{number}@{protocol}.csv")
        assert table.stat().st_size > 0
    page = (run / "index.html").read_text()
    assert "filled weights" in page.lower()


@pytest.mark.parametrize("source", ["rendered", "photographs"])
def test_table_2(
    source: str, tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if source == "photographs" and not (SHARED / "celebahq").is_dir():
        pytest.skip("the photographs of ../shared are not here")
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    data = SHARED / "celebahq" if source == "photographs" else tmp_path / "world"
    directions = SHARED / "directions" if source == "photographs" else tmp_path
    if source == "rendered":
        export(data, split="test", limit=2)
        vector = torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
        torch.save(vector / vector.norm(), tmp_path / "smile.pt")
    full = ALL and source == "photographs"
    methods = FACES if full else {"e4e": FACES["e4e"]}
    words = [
        "--preset", "paper-faces", "--data", str(data), "--split", "all", "--limit", "8" if full else "2",
        "--directions", str(directions), "--methods", ",".join([*methods, *(["warpres"] if full else [])]),
        "--edits", "smile,pose" if full else "smile", "--config", str(_config(tmp_path)),
        "--output", str(tmp_path / "runs"), *_checkpoints(methods, tmp_path),
    ]  # fmt: skip
    if full:
        words += _warpres(tmp_path, "e4e_ffhq")
    undo = _interrupt_after(9, monkeypatch)
    assert main([*words, "--name", "cut"]) == 130
    undo()
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    assert main([*words, "--name", "cut"]) == 0
    text = capsys.readouterr().out
    assert "filled weights" in text.lower()
    run = tmp_path / "runs/cut"
    _finished_table(words, run, 2, [*methods, *(["warpres"] if full else [])])
    if not full:
        before = _digests(run)
        assert main([*words, "--name", "whole"]) == 0
        assert _digests(tmp_path / "runs/whole") == before


def test_table_3(
    tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (SHARED / "cars").is_dir():
        pytest.skip("the photographs of ../shared are not here")
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    methods = CARS if ALL else {"e4e": CARS["e4e"]}
    words = [
        "--preset", "paper-cars", "--data", str(SHARED / "cars"), "--split", "all", "--limit", "3",
        "--directions", str(SHARED / "directions"), "--methods", ",".join([*methods, "hfgi"]),
        "--edits", "grass,color,viewpoint" if ALL else "grass", "--config", str(_config(tmp_path)),
        "--output", str(tmp_path / "runs"), "--name", "cars", *_checkpoints(methods, tmp_path),
    ]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr()
    # Nobody released a cars checkpoint of HFGI: its row says so, and does not stop the others.
    assert "hfgi" in said.err
    _finished_table(words, tmp_path / "runs/cars", 3, list(methods))
    assert "not released" in (tmp_path / "runs/cars/index.html").read_text()
