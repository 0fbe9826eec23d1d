"""Tables 2 and 3 from data to page with filled weights: the numbers mean nothing, that nothing in the path breaks does.

By default one method each, on rendered images and, where they are here, on photographs; interrupted and resumed, its
tables are those of a run in one go, byte for byte. WARPRES_BENCH_ALL_METHODS=1 (`make proof`) adds every method of the
presets (an hour, 20 GB of disk).
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from bench.cli import main
from bench.core.checkpoint import write_safetensors
from bench.weights import registry
from bench.world.export import export
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
    """WarpRes at full size, as initialised, on the filled e4e of `_checkpoints`: nobody released its weights."""
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
    (encoder,) = (folder / "e4e").iterdir()
    return ["--checkpoint", f"warpres={encoder},{folder / 'warpres.safetensors'}"]


def _config(folder: Path) -> Path:
    file = folder / "filled.toml"
    file.write_text("filled_weights = true\n")
    return file


def _digests(run: Path) -> dict[str, str]:
    files = sorted(path for path in (run / "tables").rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _interrupt_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C when so many rows have been appended."""
    from bench.results.store import ShardWriter

    append, done = ShardWriter.append, [0]

    def counted(self: ShardWriter, entries: list[object]) -> None:
        append(self, entries)  # type: ignore[arg-type]
        done[0] += len(entries)
        if done[0] >= count:
            raise KeyboardInterrupt

    monkeypatch.setattr(ShardWriter, "append", counted)


def _cells(table: Path) -> dict[tuple[str, str], dict[str, str]]:
    """(method, column) -> its fields of a wide CSV table: "" is the value, then "low", "high", "n", "failed"."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    with table.open(newline="") as file:
        for line in csv.DictReader(file):
            if line["kind"] == "method":
                for name, text in line.items():
                    if "@" in name:
                        column, _, part = name.partition("@")[0], *name.partition("@")[2].partition(":")[1:]
                        found.setdefault((line["method"], column), {})[part] = text
    return found


def _finished_table(run: Path, number: int, methods: list[str], images: int) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["filled_weights"] is True
    assert set(manifest["protocols"]) == {"paper-1", "standard-1"}
    rows = [json.loads(line) for line in (run / "rows/0.jsonl").read_text().splitlines()]
    assert {row["method"] for row in rows} == {"real", "real-jpeg", *methods}
    assert not [row["reason"] for row in rows if row["status"] == "failed"]
    for protocol in manifest["protocols"]:
        cells = _cells(run / f"tables/table{number}@{protocol}.csv")
        for method in methods:
            for metric in ("fid", "lpips"):
                cell = cells[method, f"reconstruction:{metric}"]
                assert math.isfinite(float(cell[""])), (method, metric)
                assert int(cell["n"]) == images
            # Whatever else the table shows of a method is a number, or is counted as failed (MS-SSIM of noise).
            own = {column: cell for (name, column), cell in cells.items() if name == method}
            edits = {column for column, cell in own.items() if not column.startswith("reconstruction") and cell[""]}
            # One smiling and one other face make no set, and standard-1's identity lacks its detector here.
            assert edits or (protocol == "standard-1" and number == 2 and images == 2), method
            for column, cell in own.items():
                assert not cell[""] or math.isfinite(float(cell[""])), (method, column)
                assert column != "reconstruction:ssim" or cell[""] or int(cell["failed"]) == images
    page = (run / "index.html").read_text()
    assert "filled weights" in page.lower()


def _run_interrupted(words: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is stopped after a few rows and then carries on to its end."""
    with monkeypatch.context() as once:
        _interrupt_after(9, once)
        assert main([*words, "--name", name]) == 130
    assert main([*words, "--name", name]) == 0


def _resumes_to_the_same_tables(words: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run of `words`, cut and resumed and in one go; returns the first one's folder."""
    _run_interrupted(words, "cut", monkeypatch)
    assert main([*words, "--name", "whole"]) == 0
    tables = _digests(folder / "cut")
    assert tables == _digests(folder / "whole")
    assert len(tables) > 4
    return folder / "cut"


def _directions(folder: Path) -> Path:
    """Stand-ins of the authors' direction files."""
    random = torch.Generator().manual_seed(1)
    vector = torch.randn(1, 512, generator=random)
    torch.save(vector / vector.norm(), folder / "smile.pt")
    components, _ = torch.linalg.qr(torch.randn(512, 80, generator=random))
    parts = {"mean": torch.zeros(1, 512), "comp": components.T[:, None].contiguous(), "std": torch.ones(80)}
    torch.save(parts, folder / "cars_pca.pt")
    return folder


def _draw_cars(folder: Path) -> Path:
    """Two drawn cars, one of another size than the network's."""
    folder.mkdir()
    for number, (size, colour) in enumerate((((256, 192), "firebrick"), ((400, 260), "steelblue"))):
        image = Image.new("RGB", size, (188, 196, 200))
        draw, (width, height) = ImageDraw.Draw(image), size
        draw.rectangle((0, 0.7 * height, width, height), fill=(90, 92, 88))
        draw.rectangle((0.1 * width, 0.45 * height, 0.9 * width, 0.72 * height), fill=colour)
        draw.polygon([(x * width, y * height) for x, y in ((0.25, 0.45), (0.36, 0.25), (0.66, 0.25), (0.78, 0.45))],
                     fill=colour, outline="black")  # fmt: skip
        for x in (0.27, 0.73):
            draw.ellipse(((x - 0.08) * width, 0.6 * height, (x + 0.08) * width, 0.82 * height), fill=(25, 25, 25))
        image.save(folder / f"{number}.jpg", quality=95)
    return folder


def _source(source: str, domain: str, folder: Path) -> tuple[Path, Path]:
    """(data, directions) of rendered images, or of the photographs where they are here."""
    if source == "photographs":
        found = SHARED / ("celebahq" if domain == "faces" else "cars")
        if not found.is_dir():
            pytest.skip("the photographs of ../shared are not here")
        return found, SHARED / "directions"
    if domain == "cars":
        return _draw_cars(folder / "drawn"), _directions(folder)
    export(folder / "world", split="test", limit=2)
    return folder / "world", _directions(folder)


@pytest.mark.parametrize("source", ["rendered", "photographs"])
@pytest.mark.parametrize("domain", ["faces", "cars"])
def test_a_resumed_run_gives_the_same_tables(
    domain: str,
    source: str,
    tmp_path: Path,
    networks: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    data, directions = _source(source, domain, tmp_path)
    one = {"e4e": (FACES if domain == "faces" else CARS)["e4e"]}
    # Nobody released a cars checkpoint of HFGI: its row says so, and does not stop the others.
    names, edit = ("e4e", "smile") if domain == "faces" else ("e4e,hfgi", "grass")
    words = [
        "--preset", f"paper-{domain}", "--data", str(data), "--split", "all", "--limit", "2", "--methods", names,
        "--directions", str(directions), "--edits", edit, "--config", str(_config(tmp_path)),
        "--output", str(tmp_path / "runs"), *_checkpoints(one, tmp_path),
    ]  # fmt: skip
    run = _resumes_to_the_same_tables(words, tmp_path / "runs", monkeypatch)
    said = capsys.readouterr()
    assert "filled weights" in said.out.lower()
    _finished_table(run, 2 if domain == "faces" else 3, ["e4e"], 2)
    if domain == "cars":
        assert "hfgi" in said.err
        assert "not released" in (run / "index.html").read_text()


@pytest.mark.skipif(not ALL, reason="WARPRES_BENCH_ALL_METHODS=1 runs every method: an hour, 20 GB of disk")
@pytest.mark.parametrize("domain", ["faces", "cars"])
def test_every_method_of_the_preset(
    domain: str, tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    data, directions = _source("photographs", domain, tmp_path)
    methods, edits, images = (FACES, "smile,pose", 8) if domain == "faces" else (CARS, "grass,color,viewpoint", 3)
    absent = [] if domain == "faces" else ["hfgi", "styleres"]
    words = [
        "--preset", f"paper-{domain}", "--data", str(data), "--split", "all", "--limit", str(images),
        "--directions", str(directions), "--methods", ",".join([*methods, "warpres", *absent]), "--edits", edits,
        "--config", str(_config(tmp_path)), "--output", str(tmp_path / "runs"), *_checkpoints(methods, tmp_path),
        *_warpres(tmp_path, methods["e4e"]),
    ]  # fmt: skip
    _run_interrupted(words, "all", monkeypatch)
    assert "filled weights" in capsys.readouterr().out.lower()
    there = len(list((SHARED / "celebahq/CelebA-HQ-img").iterdir())) if domain == "faces" else images
    _finished_table(tmp_path / "runs/all", 2 if domain == "faces" else 3, [*methods, "warpres"], min(images, there))
