"""Weights on the command line: whole digests, no remnants of a bar, and no piece taken for a whole file."""

from __future__ import annotations

import hashlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.core.errors import MissingError
from bench.weights import registry
from bench.weights.fetch import fetch
from bench.weights.registry import Entry, all_paths, checkpoint_entries, entries, folder_of, locate

BODY = b"network " * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The only entry of the registry, on Google Drive."""
    item = Entry("net", "network", "net.bin", "released", licence="terms", source="https://example.org", drive="1abc")
    monkeypatch.setattr(registry, "_registered", lambda: {"net": item})
    return item


def _drive(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Stands in for gdown: with `resume`, a file that is there counts as downloaded."""

    def download(*, output: str, resume: bool, **_: Any) -> str:
        if not (resume and Path(output).exists()):
            Path(output).write_bytes(content)
        return output

    monkeypatch.setitem(sys.modules, "gdown", types.SimpleNamespace(download=download))


def test_a_piece_left_by_a_mirror_is_not_taken_for_drives_whole_file(
    net: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(net).mkdir(parents=True)
    (folder_of(net) / "net.bin.part").write_bytes(BODY[:1000])
    _drive(monkeypatch, BODY)
    fetch("net", accept=lambda item: True)
    assert locate("net").read_bytes() == BODY


def test_nothing_is_drawn_for_what_cannot_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "fetch", "hfgi-cars"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: hfgi-cars is not released")
    assert "B/s" not in said and "\r" not in said


def test_verify_shows_digests_that_tell_files_apart(
    net: Entry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _drive(monkeypatch, BODY)
    fetch("net", accept=lambda item: True)
    assert main(["weights", "verify", "net"]) == 0
    assert DIGEST[:12] in capsys.readouterr().out
    assert main(["weights", "verify", "net", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["sha256"], row["expected"]) == ("ok", DIGEST, DIGEST)
    changed = BODY[:-1] + b"?"
    locate("net").write_bytes(changed)
    assert main(["weights", "verify", "net"]) == 3
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"SHA-256 {hashlib.sha256(changed).hexdigest()}, expected {DIGEST}")


def test_every_entry_has_a_source_and_warpres_is_ours() -> None:
    for item in entries().values():
        assert item.source, item.name
        if item.method.endswith("warpres") and item.status == "not released":
            assert item.source.startswith("ours"), item.name


def test_a_method_names_all_the_files_it_lacks() -> None:
    with pytest.raises(MissingError) as error:
        all_paths(checkpoint_entries("featurestyle", "faces"))
    assert error.value.files == ("featurestyle-faces", "psp-faces")
    assert error.value.next_step == "python run_bench.py weights fetch featurestyle-faces psp-faces"
