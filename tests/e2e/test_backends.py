"""Parts of a run done by dask and by submitit: the tables of one process, byte for byte, also when a worker dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.results.reading import read_rows
from tests.e2e.conftest import ROOT, Desk

pytestmark = pytest.mark.slow
# The method of the other tests, but the first process of a run that makes an image dies of it.
FRAGILE = """
import os, signal
from pathlib import Path
from tests.e2e.plugin import Blocks
from methods.registry import MethodEntry


class Fragile(Blocks):
    def edit(self, inversion, delta=None):
        mark = Path(os.environ["DIES_ONCE"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().edit(inversion, delta)


METHODS = (
    MethodEntry("fragile", lambda entry, domain, files: Fragile("fragile", domain, 0.5), domains=("faces",), files=()),
)
"""


def words(desk: Desk, plugin: Path, output: str) -> list[str]:
    basics = desk.basics
    del basics[basics.index("--checkpoint") : basics.index("--checkpoint") + 2]
    basics[basics.index("--plugin") + 1] = str(plugin)
    basics[basics.index("--output") + 1] = str(desk.folder / output)
    return [*basics, "--methods", "fragile", "--name", "run", "--device", "cpu"]


def tables(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "run" / "tables").iterdir())}


@pytest.mark.parametrize(
    ("backend", "more"),
    [("dask", []), ("slurm", ["[run]\ncluster = 'local'\n"])],
)
def test_parts_meet_in_the_store(desk: Desk, monkeypatch: pytest.MonkeyPatch, backend: str, more: list[str]) -> None:
    pytest.importorskip({"dask": "distributed", "slurm": "submitit"}[backend])
    monkeypatch.chdir(ROOT)  # jobs find the code where they are started
    plugin = desk.folder / "fragile.py"
    plugin.write_text(FRAGILE)
    config = desk.folder / "config.toml"
    if more:
        config.write_text(config.read_text().replace("[run]\n", more[0]))
    mark = desk.folder / "died"
    monkeypatch.setenv("DIES_ONCE", str(desk.folder))
    assert desk.here(*words(desk, plugin, "alone")) == 0
    monkeypatch.setenv("DIES_ONCE", str(mark))
    assert desk.here(*words(desk, plugin, "shared"), "--backend", backend, "--parts", "2") == 0
    assert mark.exists()
    assert len(list((desk.folder / "shared/run/rows").glob("*.jsonl"))) == 2
    assert {row.shard for row in read_rows(desk.folder / "shared" / "run")} == {"0", "1"}
    assert tables(desk.folder / "shared") == tables(desk.folder / "alone")
