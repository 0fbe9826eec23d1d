"""Fig. 6 from crops and cameras to the drawn figure, with filled weights: a 3D inversion turned, a 2D one edited.

WARPRES_BENCH_ALL_METHODS=1 (`make proof`) runs it: four minutes of one core, 6 GB.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench.cli import main
from methods.nets.eg3d.camera import look_at
from reports.figures.costs import cost_lines
from tests import filling
from tests.e2e.test_paper_tables import ALL, NETWORKS, _checkpoints, _config, _directions, _quiet, _warpres, networks

__all__ = ["NETWORKS", "_quiet", "networks"]  # fixtures of the tables' tests
POSES = ("pose-4.5", "pose-3", "pose-1.5", "pose+1.5", "pose+3", "pose+4.5")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.parity,
    pytest.mark.skipif(not ALL, reason="WARPRES_BENCH_ALL_METHODS=1 runs EG3D-GOAE and WarpRes at full size"),
]


def _crops(folder: Path) -> Path:
    """Two 512 px images with cameras, as EG3D's preparation leaves them."""
    folder.mkdir()
    labels = []
    for at, image in enumerate(filling.golden_image(0, 2, 512)):
        pixels = ((image.permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).byte().numpy()
        Image.fromarray(pixels).save(folder / f"{at}.png")
        camera = look_at(torch.tensor([math.pi / 2 + 0.2 * at - 0.1]), torch.tensor([math.pi / 2 + 0.05]))
        labels.append([f"{at}.png", camera[0].tolist()])
    (folder / "label.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_cameras_turn_one_method_and_codes_the_other(
    tmp_path: Path, networks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(networks))
    given = _checkpoints({"eg3d-goae": "goae_ffhq", "e4e": "e4e_ffhq"}, tmp_path)
    directions = _directions(tmp_path)
    torch.save(torch.load(directions / "smile.pt").flip(1)[None].expand(1, 18, 512).clone(), directions / "pose.pt")
    files = ["--preset", "paper-figure6", *given[:2], *_warpres(tmp_path, "e4e_ffhq")]
    words = [
        *files, "--data", str(_crops(tmp_path / "crops")), "--limit", "2", "--name", "six",
        "--directions", str(directions), "--config", str(_config(tmp_path)), "--device", "cpu",
        "--output", str(tmp_path / "runs"),
    ]  # fmt: skip
    assert main(words) == 0
    run = tmp_path / "runs/six"
    rows = [json.loads(line) for line in (run / "rows/0.jsonl").read_text().splitlines()]
    made = {(row["method"], row["pass"]) for row in rows if row["status"] == "ok"}
    assert {name for method, name in made if method == "eg3d-goae"} == {"reconstruction", "yaw-12.5", "yaw+12.5"}
    assert {name for method, name in made if method == "warpres"} == {"reconstruction", *POSES}
    assert [path.suffix for path in (run / "figures").iterdir()] == [".png"]
    # What both cost stands below the figure once they were timed.
    assert main(["time", *files, "--device", "cpu", "--samples", "1", "--warm-up", "1", "--into", str(run)]) == 0
    assert set(cost_lines(run)) == {"eg3d-goae", "warpres"}
