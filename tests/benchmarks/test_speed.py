"""Speed and memory of every released method at batch 1: `pytest tests/benchmarks --benchmark-only`.

Skipped in ordinary runs. Needs a machine that does nothing else; the floors are shares of its own convolution peak.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from methods.warpres.network import WarpResConfig
from tests import filling
from tests.parity.test_warpres import trained

ROOT = Path(__file__).parents[2]
# Method, domain, checkpoint, least efficiency, most memory in GB, largest share of a second edit in the first image.
CASES = [
    ("e4e", "faces", "e4e_ffhq", 0.60, 4.0, 1.0),
    ("e4e", "cars", "e4e_cars", 0.60, 4.0, 1.0),
    ("psp", "faces", "psp_ffhq", 0.55, 4.0, 1.0),
    ("restyle", "faces", "restyle_e4e_ffhq", 0.55, 4.0, 1.0),
    ("restyle", "cars", "restyle_e4e_cars", 0.55, 4.0, 1.0),
    ("restyle-psp", "faces", "restyle_psp_ffhq", 0.55, 4.0, 1.0),
    ("hyperstyle", "faces", "hyperstyle_ffhq", 0.55, 6.0, 1.0),
    ("hyperstyle", "cars", "hyperstyle_cars", 0.55, 6.0, 1.0),
    ("hfgi", "faces", "hfgi_ffhq", 0.55, 4.0, 1.0),
    ("styletransformer", "faces", "style_transformer_ffhq", 0.55, 4.0, 1.0),
    ("styletransformer", "cars", "style_transformer_cars", 0.55, 4.0, 1.0),
    ("featurestyle", "faces", "feature_style_ffhq", 0.55, 4.0, 1.0),
    ("styleres", "faces", "styleres_ffhq", 0.75, 4.0, 0.65),
    ("warpres", "faces", "e4e_ffhq", 0.55, 4.0, 0.65),
    ("warpres", "cars", "e4e_cars", 0.55, 4.0, 0.65),
    ("psp+warpres", "faces", "psp_ffhq", 0.55, 4.0, 0.65),
]


@pytest.mark.parametrize(("name", "domain", "manifest", "efficiency", "memory", "share"), CASES)
def test_one_image(
    name: str,
    domain: str,
    manifest: str,
    efficiency: float,
    memory: float,
    share: float,
    benchmark: Any,
    tmp_path: Path,
) -> None:
    files = [str(path) for path in filling.write(manifest, tmp_path)]
    if name.endswith("warpres"):  # was never released: its own parts are drawn here
        files.append(str(trained(tmp_path / "warpres.safetensors", WarpResConfig(), domain)))
    command = [sys.executable, "-m", "tests.benchmarks.probe", name, domain, *files]

    def run() -> dict[str, Any]:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    measured = benchmark.pedantic(run, rounds=1, iterations=1)
    benchmark.extra_info.update(measured)
    print(json.dumps(measured))
    assert measured["efficiency"] >= efficiency
    assert measured["peak_memory_bytes"] <= memory * 1e9
    assert measured["second_edit"]["share_of_first"] <= share
