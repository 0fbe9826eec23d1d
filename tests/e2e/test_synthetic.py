"""The main job on the shipped networks: how it is run changes no byte of what it finds."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.results.reading import read_rows
from bench.world.networks import WEIGHTS
from tests.unit.doubles import fingerprint

SHIPPED = [name for name in ("e4e", "styleres", "warpres") if (WEIGHTS / f"{name}.safetensors").is_file()]
METHODS = ",".join(SHIPPED)

pytestmark = pytest.mark.skipif(not SHIPPED, reason="no method of the synthetic world is shipped yet")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def _config(**run: int) -> str:
    Path("how.toml").write_text("[run]\n" + "".join(f"{key} = {value}\n" for key, value in run.items()))
    return "how.toml"


def _run(name: str, limit: int, *words: str, **run: int) -> Path:
    config = _config(**{"workers": 1, **run})
    assert main(["--methods", METHODS, "--limit", str(limit), "--name", name, "--config", config, *words]) == 0
    return Path("runs") / name


def _tables(run: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((run / "tables").glob("*.*"))}


def test_limit_batch_and_workers_change_no_byte() -> None:
    whole = _run("whole", 11)
    _run("grown", 3)
    grown = _run("grown", 11, "--batch", "1")
    shared = _run("shared", 11, workers=2)
    assert fingerprint(grown) == fingerprint(shared) == fingerprint(whole)
    assert _tables(grown) == _tables(shared) == _tables(whole)
    assert len(_tables(whole)) >= 3


def test_the_run_holds_what_it_promises(capsys: pytest.CaptureFixture[str]) -> None:
    run = _run("all", 8)
    text = capsys.readouterr().out
    assert text.splitlines()[-1] == str(run)
    assert max(map(len, text.splitlines())) <= 80
    manifest = json.loads((run / "manifest.json").read_text())
    assert [edit["column"] for edit in manifest["passes"]] == ["reconstruction", "smile+", "smile-", "pose+", "pose-"]
    rows = read_rows(run, manifest)
    assert {row.status for row in rows} == {"ok"}
    assert {row.method for row in rows} == {"real", "truth", *SHIPPED}
    for row in rows:
        edited = row.pass_name not in ("reconstruction", "original")
        if row.method in SHIPPED:
            assert {"ssim", "lpips", "id", "psnr"} <= set(row.values)
            assert {"truth_psnr", "asked_psnr", "asked_id", "achieved"} & set(row.values) == (
                {"truth_psnr", "asked_psnr", "asked_id", "achieved"} if edited else set()
            )
            assert ("flow_epe" in row.values) == (edited and row.method == "warpres")
        elif edited:
            assert ("asked_psnr" in row.values) == (row.method == "real")
    (long,) = (run / "tables").glob("long@synthetic-2.csv")
    with long.open() as stream:
        assert {line["method"] for line in csv.DictReader(stream)} >= set(SHIPPED)
    for pattern in ("tables/*.md", "tables/*.tex", "plots/*.png", "plots/*.pdf", "grids/*.png", "index.html"):
        assert list(run.glob(pattern)), pattern
    page = (run / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_matched_strengths_move_every_method_equally_far() -> None:
    if len(SHIPPED) < 2:
        pytest.skip("only one method is shipped yet")
    run = _run("matched", 4, "--mode", "matched", "--edits", "pose")
    manifest = json.loads((run / "manifest.json").read_text())
    record = json.loads((run / "matched.json").read_text())
    assert record.pop("checksum")
    found = [entry for method in record.values() for entry in method.values()]
    assert len(found) == 2 * len(SHIPPED)
    changes = sorted(abs(entry["change"]) for entry in found if entry["reached"])
    assert changes[-1] < 1.5 * changes[0]
    strengths = {method["passes"]["pose+"]["strength"] for method in manifest["methods"].values()}
    assert len(strengths) > 1
    # What is asked is the same for all, whatever strength of a method it takes.
    asked = {row.edit_digest for row in read_rows(run, manifest) if row.pass_name == "pose+"}
    assert len(asked) == 1
    shares = [method["passes"]["pose+"]["range_share"] for method in manifest["methods"].values()]
    assert all(0 < share <= 1 for share in shares)
    assert "share of the largest one" in (run / "tables" / "truth@synthetic-2.md").read_text()
