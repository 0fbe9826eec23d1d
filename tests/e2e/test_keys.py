"""What decides a number is in its key: one line changed in a copy of the suite leaves nothing of its results fresh."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk

ROOT = Path(__file__).parents[2]
LINE = "\nMADE_UP = 1\n"
REMARK = "\n# A remark, and nothing else.\n"
# File -> what it decides, and the share of results that must be made again: a method's own, or all.
FILES = {
    "methods/psp/adapter.py": "method",
    "methods/nets/stylegan2/layers.py": "method",
    "metrics/similarity.py": "all",
    "metrics/images.py": "all",
    "bench/run/input.py": "all",
    "bench/run/engine.py": "all",
    "bench/run/group.py": "all",
    "bench/run/truth.py": "all",
    "bench/world/render.py": "all",
    "bench/world/networks.py": "all",
    "bench/edits/change.py": "all",
    "reports/tables.py": "none",
    "bench/cli/running.py": "none",
}
SCRIPT = """
import json, sys
from pathlib import Path
from bench.plan.build import assemble
from bench.plan.config import load_config
config = load_config("synthetic", command_line={"methods": ["e4e"], "edits": {"names": []}, "data": {"limit": 1}})

def digests():
    work = assemble(config, dry=True).work
    return {"method": work.specs[0].digest, "protocol": work.protocol_digest(work.evaluators[0])}

def changed(text, files):
    sound = {file: file.read_text(encoding="utf-8") for file in files}
    for file in files:
        file.write_text(sound[file] + text, encoding="utf-8")
    after = digests()
    for file in files:
        file.write_text(sound[file], encoding="utf-8")
    return sorted(kind for kind in before if before[kind] != after[kind])

before, given = digests(), json.load(sys.stdin)
files = [Path(name) for name in given["files"]]
lines = {file.as_posix(): changed(given["line"], [file]) for file in files}
print(json.dumps({"remarks": changed(given["remark"], files), "lines": lines}))
"""


@pytest.mark.slow
def test_one_line_of_each_makes_new_keys_and_a_remark_does_not(tmp_path: Path) -> None:
    for room in ("bench", "methods", "metrics", "reports"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True,
        input=json.dumps({"files": list(FILES), "remark": REMARK, "line": LINE}),
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["remarks"] == []  # in all files at once
    for name, line in found["lines"].items():
        assert {"method": "method", "all": "protocol"}.get(FILES[name]) in (None, *line), (name, line)
        assert FILES[name] != "none" or line == [], (name, line)


def test_the_machine_is_part_of_every_key() -> None:
    import torch

    from bench.core.machine import machine_of
    from tests.unit.doubles import FewImages, MeanEvaluator, PoolingMethod, make_work

    evaluator, kinds = MeanEvaluator(), []
    here = machine_of("cpu")
    assert here["threads"] == str(torch.get_num_threads()) and here["torch"] == ".".join(
        torch.__version__.split(".")[:2]
    )
    kinds += [here, {**here, "threads": "99"}, {**here, "instructions": "SSE"}, {**here, "torch": "9.9"}]
    kinds += [{**here, "device": "cuda sm_90"}]
    works = [make_work(FewImages(2), [PoolingMethod()], machine=kind, evaluators=(evaluator,)) for kind in kinds]
    works += [make_work(FewImages(2), [PoolingMethod()], machine=here, evaluators=(evaluator,), group=2)]
    works += [make_work(FewImages(2), [PoolingMethod()], machine=here, evaluators=(evaluator,), seed=7)]
    assert len({work.protocol_digest(evaluator) for work in works}) == len(works)


def test_another_kind_of_machine_is_told_and_computed_anew(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    assert desk.here(*desk.basics, "--name", "one", "--limit", "3") == 0
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ABACUS")
    capsys.readouterr()
    assert desk.here(*desk.basics, "--name", "one", "--limit", "3") == 0
    said = capsys.readouterr().err
    assert "another kind of machine" in said and "instructions ABACUS" in said and "21 results to compute" in said
    manifest = json.loads((desk.folder / "runs/one/manifest.json").read_text())
    assert manifest["machine"]["instructions"] == "ABACUS"
    with monkeypatch.context() as part:
        part.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SLATE")
        part.setenv("RANK", "1")
        part.setenv("WORLD_SIZE", "2")
        assert desk.here(*desk.basics, "--name", "one", "--limit", "3") == 2
    assert "machines of one kind" in capsys.readouterr().err


def test_a_changed_plug_in_keeps_no_old_number(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = desk.folder / "own.py"
    plugin.write_text(
        (ROOT / "tests/e2e/plugin.py").read_text().replace('"blocks"', '"own"').replace('"dull-blocks"', '"x"')
    )
    words = [str(plugin) if word.endswith("plugin.py") else word.replace("blocks=", "own=") for word in desk.basics]
    words += ["--methods", "own"]
    assert desk.here(*words, "--name", "one", "--limit", "3") == 0
    for text, todo in (("\n# a remark\n", None), ("\nMADE_UP = 1\n", "15 results to compute")):
        plugin.write_text(plugin.read_text() + text)
        capsys.readouterr()
        assert desk.here(*words, "--name", "one", "--limit", "3") == 0
        said = capsys.readouterr().err
        assert (todo or "nothing to compute") in said
