"""An edit that a method does not take: planned without it, said so in plan, manifest and table."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import NotApplicableError
from bench.plan.build import assemble
from bench.plan.config import load_config
from bench.plan.dry_run import statuses
from bench.plan.manifest import manifest
from reports.inputs import Facts

CAMERA = """
name = "turn"
domain = "faces"
generator = "{generator}"
rule = "camera"
origin = "mine"
licence = "mine"
sign = "+ turns the camera"
strength_source = "tried"
turn = [1.0, 0.0]
strength = 12.5
"""


def _config(tmp_path: Path, *edits: str, generator: str = "synthetic-64"):  # noqa: ANN202
    card = tmp_path / "turn.toml"
    card.write_text(CAMERA.format(generator=generator))
    chosen = {"names": list(edits), "cards": [str(card)]}
    return load_config("synthetic", command_line={"edits": chosen, "data": {"limit": 4}, "methods": ["e4e"]})


def test_an_edit_that_fits_no_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotApplicableError, match="moves the camera of a 3D generator, which e4e does not have"):
        assemble(_config(tmp_path, "smile", "turn"), dry=True)
    with pytest.raises(NotApplicableError, match="is a direction for eg3d-ffhq-512; this generator is synthetic-64"):
        assemble(_config(tmp_path, "turn", generator="eg3d-ffhq-512"), dry=True)


def test_one_that_fits_another_method_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from methods import registry

    known = dict(registry.entries())
    known["styleres"] = replace(known["styleres"], edits=("add", "camera"))
    monkeypatch.setattr(registry, "entries", lambda: known)
    config = _config(tmp_path, "smile", "turn")
    config = load_config("synthetic", command_line={
        "edits": {"names": ["smile", "turn"], "cards": list(config.edits.cards)},
        "data": {"limit": 4}, "methods": ["e4e", "styleres"],
    })  # fmt: skip
    found = assemble(config, dry=True)
    found.refuse_if_incomplete()
    assert statuses(found) == {"e4e": "ready", "styleres": "ready"}
    assert any("turn of e4e" in note for note in found.notes)
    columns = {name: [edit.pass_name for edit in passes] for name, passes in found.columns.items()}
    assert columns["e4e"] == ["reconstruction", "smile+", "smile-"]
    assert columns["styleres"] == ["reconstruction", "smile+", "smile-", "turn"]
    facts = Facts.from_manifest(manifest(config, found, []))
    assert facts.absent_cells["e4e", "turn"].status == "n/a"
    assert ("styleres", "turn") not in facts.absent_cells
