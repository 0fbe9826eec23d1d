"""Matched strengths in a plan: what is known is used, nothing is loaded to find the rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.core.digest import code_of
from bench.core.sealed import write_sealed
from bench.plan.work import MethodSpec
from bench.run.match_strength import RECORD, Matched, _key, matched_strengths
from tests.unit.doubles import FewImages, PoolingMethod, spec


def _never() -> Any:
    raise AssertionError("a plan loads no method")


def _strengths(own: list[MethodSpec], data: FewImages, folder: Path, said: list[str]) -> dict[str, dict[str, Matched]]:
    images: Any = data
    return matched_strengths(own, images, lambda _: {}, folder, group=4, say=said.append, search=False)


def test_a_plan_takes_what_is_known_and_names_the_rest(tmp_path: Path) -> None:
    data = FewImages(4)
    said: list[str] = []
    known, unknown = (replace(spec(PoolingMethod(name)), load=_never) for name in ("a", "b"))
    assert _strengths([known, unknown], data, tmp_path, said) == {}
    assert [line.split(" are ")[0] for line in said] == ["the matched strengths of a", "the matched strengths of b"]
    assert not list(tmp_path.iterdir())
    entry = {"smile+": {"strength": 2.5, "change": 1.0, "reached": True, "range_share": 0.5}}
    by = ["", code_of(matched_strengths), 4]
    write_sealed(tmp_path / RECORD, {_key(known, known, data, by): entry})  # type: ignore[arg-type]
    assert _strengths([known, unknown], data, tmp_path, said) == {"a": {"smile+": Matched(2.5, 1.0, 0.5)}}
    assert data.reads == []


def test_dry_run_of_matched_strengths_loads_no_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("methods.registry.load_method", lambda *_, **__: _never())
    words = ["--mode", "matched", "--methods", "styleres,warpres", "--edits", "pose", "--limit", "2"]
    assert main([*words, "--output", str(tmp_path / "runs"), "--dry-run", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "the matched strengths of warpres are not known yet" in said.err
    assert "pose+" in said.out
    assert not (tmp_path / "runs").exists()
