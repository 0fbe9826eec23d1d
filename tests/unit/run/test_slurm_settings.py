"""What a config tells submitit, by the example of the documents."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import submitit

from bench.plan.config import load_config
from bench.run.backends.slurm import settings

CLUSTERS = Path(__file__).parents[3] / "docs/clusters.md"


def test_the_documented_config_reaches_submitit(tmp_path: Path) -> None:
    (block,) = re.findall(r"\n((?:    .*\n)*    \[run\.slurm\]\n(?:    .*\n)+)", CLUSTERS.read_text(encoding="utf-8"))
    (tmp_path / "cluster.toml").write_text(dedent(block), encoding="utf-8")
    config = load_config("synthetic", tmp_path / "cluster.toml")
    found = settings(config)
    assert found["timeout_min"] == 240 and found["slurm_partition"] == "gpu"
    # Unknown names and wrong types are refused here, before any cluster is asked.
    submitit.AutoExecutor(folder=tmp_path, cluster="local").update_parameters(**found)
    assert settings(load_config("synthetic"))["timeout_min"] == 24 * 60
