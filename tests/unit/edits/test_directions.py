"""Direction files of every accepted shape, and the ones that are refused with a reason."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from bench.core.contract import Direction
from bench.core.errors import MissingError, UsageError
from bench.edits.cards import Card, Column
from bench.edits.direction_files import read_tensor, spread
from bench.edits.directions import direction_folders, load_direction

D = 512
VECTOR = torch.linspace(-1.0, 1.0, D)
SHARED = Path(__file__).parents[4] / "shared" / "data" / "directions"


def card(file: str = "d.pt", **fields: object) -> Card:
    base = Card(
        name="smile",
        domain="faces",
        generator="ffhq-1024",
        rule="add",
        origin="",
        licence="",
        sign="",
        strength_source="",
        file=file,
        columns=(Column("smile+", 3.0), Column("smile-", -3.0)),
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def load(folder: Path, item: Card, rows: int = 18, method: str | None = None) -> Direction:
    return load_direction(item, lambda name: folder / name, generator="ffhq-1024", latent_rows=rows, method=method)


@pytest.mark.parametrize(
    "value",
    [VECTOR, VECTOR[None], VECTOR.expand(18, D), VECTOR.expand(1, 18, D), VECTOR.repeat(18)[None], VECTOR.repeat(18)],
    ids=["[D]", "[1,D]", "[L,D]", "[1,L,D]", "[1,L*D]", "[L*D]"],
)
def test_accepted_shapes_spread_to_rows(tmp_path: Path, value: Tensor) -> None:
    torch.save(value.clone(), tmp_path / "d.pt")
    direction = load(tmp_path, card())
    assert direction.vector.shape == (18, D)
    assert torch.equal(direction.vector, VECTOR.expand(18, D))


def test_rows_may_differ(tmp_path: Path) -> None:
    rows = torch.randn(18, D)
    torch.save(rows.reshape(1, -1), tmp_path / "d.pt")
    assert torch.equal(load(tmp_path, card()).vector, rows)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (torch.zeros(1, 500), r"shape \[1, 500\] for codes of width 512"),
        (torch.zeros(17, D), "17 rows, 512 wide; the generator's codes have 18"),
        (torch.zeros(2, 18, D), r"shape \[2, 18, 512\]; accepted are"),
        (torch.zeros(1, 14 * D), "14 rows, 512 wide; the generator's codes have 18"),
        (torch.tensor(1.0), "accepted are"),
        (torch.full((1, D), torch.nan), "512 of 512 values are NaN"),
        (torch.tensor([[torch.inf] + [0.0] * (D - 1)]), "1 of 512 values are NaN or infinite"),
        ({"a": VECTOR, "b": VECTOR}, "holds a, b; the card names no key"),
        ([1, 2], "is a list, not a tensor"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, value: object, fault: str) -> None:
    torch.save(value, tmp_path / "d.pt")
    with pytest.raises(MissingError, match=fault) as error:
        load(tmp_path, card())
    assert str(tmp_path / "d.pt") in error.value.what


def test_the_cards_shape_is_held_to(tmp_path: Path) -> None:
    torch.save(VECTOR.expand(18, D).clone(), tmp_path / "d.pt")
    with pytest.raises(MissingError, match=r"of shape \[18, 512\], the card says \[1, 512\]"):
        load(tmp_path, card(shape=(1, D)))


def test_eighteen_rows_are_cut_for_cars_only_when_equal(tmp_path: Path) -> None:
    path = tmp_path / "d.pt"
    assert spread(VECTOR.expand(18, D), 16, D, path, cut=True).shape == (16, D)
    with pytest.raises(MissingError, match="18 rows"):
        spread(torch.randn(18, D), 16, D, path, cut=True)
    with pytest.raises(MissingError, match="18 rows"):
        spread(VECTOR.expand(18, D), 16, D, path, cut=False)


def test_another_generator_or_layer_count_is_refused_by_name(tmp_path: Path) -> None:
    torch.save(VECTOR, tmp_path / "d.pt")
    with pytest.raises(UsageError, match="'smile' is a direction for synthetic-64; this generator is ffhq-1024"):
        load(tmp_path, card(generator="synthetic-64"))
    with pytest.raises(MissingError, match="'smile' changes rows 9 to 17; the generator's codes have 16"):
        load(tmp_path, card(layers=(9, 18)), rows=16)


def test_layers_and_lengths(tmp_path: Path) -> None:
    torch.save(VECTOR, tmp_path / "d.pt")
    vector = load(tmp_path, card(layers=(4, 6), normalise="unit_per_row")).vector
    assert vector.norm(dim=1).tolist() == pytest.approx([0.0] * 4 + [1.0] * 2 + [0.0] * 12)
    assert float(load(tmp_path, card(normalise="unit_total")).vector.norm()) == pytest.approx(1.0)
    torch.save(torch.zeros(D), tmp_path / "d.pt")
    with pytest.raises(MissingError, match="has no length"):
        load(tmp_path, card(normalise="unit_total"))


def test_containers(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", VECTOR.numpy()[None])
    save_file({"smile": VECTOR, "yaw": -VECTOR}, tmp_path / "d.safetensors")
    assert torch.equal(load(tmp_path, card("d.npy")).vector[3], VECTOR)
    assert torch.equal(load(tmp_path, card("d.safetensors", key="yaw", dim=0)).vector[3], -VECTOR)
    with pytest.raises(MissingError, match="has no tensor 'age', only smile, yaw"):
        load(tmp_path, card("d.safetensors", key="age"))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("ran",)


def test_nothing_in_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"comp": Evil()}, tmp_path / "d.pt")
    np.save(tmp_path / "d.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    with pytest.raises(MissingError, match="forbidden global"):
        read_tensor(tmp_path / "d.pt", "comp")
    with pytest.raises(MissingError, match="cannot be read as an array of numbers"):
        read_tensor(tmp_path / "d.npy")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\x80\x02garbage"])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    for name in ("d.pt", "d.npy", "d.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MissingError, match=name):
            read_tensor(tmp_path / name, "x")


def test_component_files_are_checked(tmp_path: Path) -> None:
    parts = {"mean": torch.zeros(1, D), "comp": torch.zeros(4, 1, D), "std": torch.ones(4)}
    item = card("pca.pt", rule="set_coordinate", component=3)
    torch.save(parts, tmp_path / "pca.pt")
    assert load(tmp_path, item).std == 1.0
    with pytest.raises(MissingError, match="has 4 components; the edit 'smile' is number 9"):
        load(tmp_path, replace(item, component=9))
    with pytest.raises(MissingError, match=r"of shape \[4, 1, 512\], the card says \[80, 1, 512\]"):
        load(tmp_path, replace(item, shape=(80, 1, D)))
    torch.save(parts | {"std": torch.ones(3)}, tmp_path / "pca.pt")
    with pytest.raises(MissingError, match=r"comp \[4, 1, 512\], mean \[512\], std \[3\] do not fit"):
        load(tmp_path, item)
    torch.save({"mean": parts["mean"], "comp": parts["comp"]}, tmp_path / "pca.pt")
    with pytest.raises(MissingError, match="has no tensor 'std'"):
        load(tmp_path, item)


def test_the_digest_is_of_what_the_edit_does(tmp_path: Path) -> None:
    torch.save(VECTOR, tmp_path / "d.pt")
    first = load(tmp_path, card()).digest
    assert load(tmp_path, card(origin="elsewhere", columns=(Column("smile+", 9.0),))).digest == first
    assert load(tmp_path, card(layers=(0, 4))).digest != first
    torch.save(VECTOR * 1.001, tmp_path / "d.pt")
    assert load(tmp_path, card()).digest != first


def test_a_methods_own_direction_and_unit(tmp_path: Path) -> None:
    own = {"file": "own.pt", "shape": (1, 18 * D), "columns": (Column("smile+", 15.0), Column("smile-", -15.0))}
    item = card(overrides={"featurestyle": own})
    torch.save(VECTOR, tmp_path / "d.pt")
    torch.save(VECTOR.repeat(18)[None] / 40, tmp_path / "own.pt")
    assert torch.equal(load(tmp_path, item, method="e4e").vector[0], VECTOR)
    assert torch.equal(load(tmp_path, item, method="featurestyle").vector[0], VECTOR / 40)
    with pytest.raises(UsageError, match="a direction of featurestyle's own codes, not of e4e's"):
        load(tmp_path, card(methods=("featurestyle",)), method="e4e")


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    first, second = tmp_path / "first ä", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    (second / "smile.pt").touch()
    resolve = direction_folders([first, second])
    assert resolve("smile.pt") == second / "smile.pt"
    (first / "smile.pt").touch()
    assert resolve("smile.pt") == first / "smile.pt"
    with pytest.raises(MissingError, match=r"pose\.pt is in none of") as error:
        resolve("pose.pt")
    assert error.value.next_step.endswith("weights fetch pose.pt")
    with pytest.raises(MissingError) as error:
        resolve("mine.pt")
    assert error.value.next_step == "put it in one of these folders"


@pytest.mark.skipif(not SHARED.exists(), reason="the real direction files are not here")
def test_real_direction_files_fit_their_cards() -> None:
    from bench.edits.cards import all_cards, find_card

    rows = {"ffhq-1024": 18, "lsun-car-512": 16}
    for item in all_cards():
        if item.generator in rows and item.rule in ("add", "set_coordinate"):
            for method in ("e4e", "featurestyle") if not item.methods else item.methods:
                direction = load_direction(
                    item,
                    lambda name: SHARED / name,
                    generator=item.generator,
                    latent_rows=rows[item.generator],
                    method=method,
                )
                assert direction.vector.shape == (rows[item.generator], 512)
    card = find_card("smile", "ffhq-1024")
    smile = load_direction(card, lambda name: SHARED / name, generator="ffhq-1024", latent_rows=18)
    np.testing.assert_allclose(smile.vector.norm(dim=1), 1.0, atol=1e-5)
