"""Mapper files that are not what they should be, and what a mapper does as an edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import MissingError
from bench.edits.cards import find_card
from bench.edits.columns import plan_columns
from bench.edits.directions import load_direction
from bench.edits.mapper_files import load_mapper
from methods.nets.mapper import LatentMapper

OPTIONS = {"no_coarse_mapper": False, "no_medium_mapper": False, "no_fine_mapper": True}


def mapper(width: int = 8) -> LatentMapper:
    torch.manual_seed(0)
    return LatentMapper(("course", "medium"), width)


def test_a_step_depends_on_its_own_codes_alone() -> None:
    codes = torch.randn(3, 18, 8)
    with torch.no_grad():
        whole = mapper()(codes)
        torch.testing.assert_close(mapper()(codes[1:2]), whole[1:2])
    assert not torch.allclose(whole[0], whole[1])
    assert not whole[:, 8:].any()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda c: c["state_dict"].clear(), "holds no StyleCLIP mapper"),
        (
            lambda c: c["state_dict"].pop("mapper.medium_mapping.mapping.3.bias"),
            "missing medium_mapping.mapping.3.bias",
        ),
        (lambda c: c["opts"].update(no_fine_mapper=False), "has one for fine rows"),
        (lambda c: c["opts"].update(no_medium_mapper=True), "has none for medium rows"),
        (lambda c: c["state_dict"].update({"mapper.mapping.mapping.1.bias": torch.zeros(8)}), "a single mapper"),
        (lambda c: c["state_dict"].update({"mapper.mapper_3.mapping.1.bias": torch.zeros(8)}), "a style-space mapper"),
        (lambda c: c["state_dict"].update({"mapper.other": torch.zeros(8)}), "other belongs to no mapper"),
    ],
)
def test_faults_are_named(tmp_path: Path, change: Callable[[dict[str, Any]], Any], fault: str) -> None:
    tensors = {f"mapper.{name}": value for name, value in mapper().state_dict().items()}
    content = {"state_dict": tensors | {"decoder.input.input": torch.zeros(1)}, "opts": dict(OPTIONS)}
    torch.save(content, tmp_path / "right.pt")
    assert load_mapper(tmp_path / "right.pt").groups == ("course", "medium")
    change(content)
    torch.save(content, tmp_path / "wrong.pt")
    with pytest.raises(MissingError, match=fault):
        load_mapper(tmp_path / "wrong.pt")


def test_the_file_decides_the_digest(tmp_path: Path) -> None:
    digests = []
    for number in (1, 2):
        torch.manual_seed(number)
        torch.save(LatentMapper(("course",)).state_dict(), tmp_path / "m.pt")
        card = find_card("styleclip_afro", "ffhq-1024")
        found = load_direction(card, lambda _: tmp_path / "m.pt", generator="ffhq-1024", latent_rows=18)
        digests.append(found.digest)
    assert digests[0] != digests[1]


def test_equal_rows_are_told() -> None:
    def note(method: str) -> str:
        return plan_columns(["styleclip_depp"], generator="ffhq-1024", method=method)[1].edit.note

    assert "equal" in note("hyperstyle") and "another person" not in note("hyperstyle")
    assert "another person" in note("e4e")
