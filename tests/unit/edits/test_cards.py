"""The cards themselves, and the passes they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.core.contract import EditPass
from bench.core.errors import UsageError
from bench.edits.cards import all_cards, find_card, generator_of, read_card, read_cards, rows
from bench.edits.columns import plan_columns
from bench.weights.registry import entries

TEXT = """
name = "frown"
domain = "faces"
generator = "ffhq-1024"
rule = "add"
origin = "mine"
licence = "mine"
sign = "+ frowns"
strength_source = "tried"
file = "frown.pt"
[[columns]]
name = "frown"
strength = 2.0
"""


def test_the_papers_edits_and_their_strengths() -> None:
    expected = {
        ("smile", "ffhq-1024"): [("smile+", 3, "Smiling=-1", "Smiling=1"), ("smile-", -3, "Smiling=1", "Smiling=-1")],
        ("pose", "ffhq-1024"): [("pose+", 3, "all", "all"), ("pose-", -3, "all", "all")],
        ("grass", "lsun-car-512"): [("grass", -18, "all", "all")],
        ("color", "lsun-car-512"): [("color", -8, "all", "all")],
        ("viewpoint", "lsun-car-512"): [("viewpoint+", 2, "all", "all"), ("viewpoint-", -2, "all", "all")],
    }
    for (name, generator), columns in expected.items():
        card = find_card(name, generator)
        assert [(c.name, c.strength, c.inputs, c.reals) for c in card.columns] == columns


def test_all_42_entries_of_styleres_table_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    named = [card for card in all_cards() if "entry of StyleRes' table" in card.origin]
    assert len(named) == 42
    # A checksum of the table: components, first and last rows, sizes.
    sums = [sum(values) for values in zip(*((c.component, *c.layers, c.columns[0].strength) for c in named))]  # noqa: B905
    assert sums == [1324, 202, 315, 426.0]
    assert main(["edits", "ls"]) == 0
    said = capsys.readouterr().out
    assert "ffhq-1024: GANSpace, set_coordinate (42)" in said
    assert "ffhq-1024: StyleCLIP mapper, mapper (14)" in said
    with pytest.raises(UsageError) as error:
        find_card("bangs", "ffhq-1024")
    assert error.value.next_step.endswith("or a card of your own: --card FILE")


def test_many_cards_share_fields_and_name_their_own_faults(tmp_path: Path) -> None:
    common = TEXT.replace('name = "frown"\n', "", 1).split("[[columns]]")[0]
    path = tmp_path / "two.toml"
    path.write_text(f'[common]{common}[[card]]\nname = "a"\nstrength = 2\n[[card]]\nname = "b"\nstrength = -1\n')
    found = {card.name: card.columns[0].strength for card in all_cards([path]) if card.name in ("a", "b")}
    assert found == {"a": 2.0, "b": -1.0}
    with pytest.raises(UsageError, match=r"two.toml, b: .*strenght"):
        read_cards(path.read_text() + "strenght = 3\n", "two.toml")
    with pytest.raises(UsageError, match="file stands beside"):
        read_cards('file = "x"\n' + path.read_text(), "two.toml")
    with pytest.raises(UsageError, match="2 cards, expected one"):
        read_card(path.read_text(), "two.toml")


def test_ganspace_entries_are_the_protocol_cards() -> None:
    expected = {
        "grass": (41, (9, 11)),
        "color": (22, (9, 11)),
        "cube": (16, (3, 6)),
        "viewpoint": (0, (0, 5)),
        "ganspace_smile": (46, (4, 5)),
        "wide_smile": (23, (3, 6)),
        "eye_openness": (54, (7, 8)),
        "trimmed_beard": (58, (7, 9)),
        "lipstick": (34, (10, 11)),
        "overexposed": (27, (8, 18)),
        "head_angle_up": (11, (1, 4)),
    }
    found = {card.name: (card.component, card.layers) for card in all_cards() if card.rule == "set_coordinate"}
    assert {name: found[name] for name in expected} == expected


def test_every_card_says_where_it_is_from_and_what_measures_it() -> None:
    for card in all_cards():
        assert card.origin and card.licence and card.sign and card.strength_source, card.name
        if card.generator != "synthetic-64" and card.file:
            assert card.file in entries(), card.file
            own = [change["file"] for change in card.overrides.values() if "file" in change]
            assert set(own) <= set(entries())


def test_names_for_another_generator_and_unknown_names() -> None:
    with pytest.raises(UsageError, match="'grass' is a direction for lsun-car-512; this generator is ffhq-1024"):
        find_card("grass", "ffhq-1024")
    with pytest.raises(UsageError, match="unknown edit for ffhq-1024 'smlie'") as error:
        find_card("smlie", "ffhq-1024")
    assert "did you mean smile" in error.value.next_step


def test_generators_have_names() -> None:
    assert generator_of("faces", 18) == "ffhq-1024"
    assert generator_of("cars", 16) == "lsun-car-512"
    assert generator_of("faces", 10) == "synthetic-64"
    assert generator_of("cars", 18) == "cars-1024"


def test_cards_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "frown.toml"
    path.write_text(TEXT)
    assert find_card("frown", "ffhq-1024", [path]).file == "frown.pt"
    with pytest.raises(UsageError, match="two edit cards are called 'frown'"):
        all_cards([path, path])
    with pytest.raises(UsageError, match="cannot be read"):
        all_cards([tmp_path / "gone.toml"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("rule = ", "rule = oops "), "is not TOML"),
        (('"add"', '"multiply"'), "rule: unknown value 'multiply'"),
        (('"add"', '"set_coordinate"'), "needs a component"),
        (('"faces"', '"cats"'), "frown.toml: unknown domain 'cats'"),
        (('file = "frown.pt"', ""), "no file"),
        (('"add"', '"camera"'), r"camera needs turn = \[yaw, pitch\]"),
        (('file = "frown.pt"', 'file = "f"\nstrenght = 3'), "strenght"),
        (('file = "frown.pt"', 'file = "f"\nlayers = [5, 3]'), r"layers are \[5, 3\]"),
        (("strength = 2.0", "force = 2.0"), "columns: unknown key 'force'"),
        (('[[columns]]\nname = "frown"\nstrength = 2.0', "columns = []"), "no columns"),
        (('[[columns]]\nname = "frown"', '[[columns]]\nname = "original"'), "'original' means something else"),
        (('name = "frown"', 'name = "ready"'), "'ready' means something else"),
        (('name = "frown"', 'name = "frown-"'), "'frown-' ends as columns do"),
        (('file = "frown.pt"', 'file = "f"\nsweep = [1.0, 2.0, 1.0]'), r"sweep has the strength \+1 twice"),
    ],
)
def test_faults_of_cards_are_named(change: tuple[str, str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault) as error:
        read_card(TEXT.replace(*change), "frown.toml")
    assert error.value.what.startswith("frown.toml")


def plan(*names: str, **options: Any) -> list[EditPass]:
    return [item.edit for item in plan_columns(names, generator="ffhq-1024", **options)]


def columns(passes: list[EditPass]) -> list[tuple[str, float]]:
    return [(item.pass_name, item.strength) for item in passes]


def test_fixed_passes() -> None:
    passes = plan("smile", "pose+")
    assert columns(passes) == [("reconstruction", 0.0), ("smile+", 3.0), ("smile-", -3.0), ("pose+", 3.0)]
    assert passes[0].direction is None
    assert (passes[1].inputs, passes[1].reals) == ("Smiling=-1", "Smiling=1")
    assert columns(plan("smile", "smile+", "smile")) == columns(plan("smile"))
    assert columns(plan("smile+", strengths={"smile": [1.5], "pose": [2.0]}))[1:] == [("smile+", 1.5)]
    with pytest.raises(UsageError, match="takes one strength above 0"):
        plan("smile", strengths={"smile": [1.0, 2.0]})


def test_a_column_of_one_name_is_not_another_edits(tmp_path: Path) -> None:
    """It was dropped without a word: the table showed the first edit under the second's name."""
    path = tmp_path / "frown.toml"
    path.write_text(TEXT.replace('[[columns]]\nname = "frown"', '[[columns]]\nname = "smile+"'))
    assert columns(plan("frown", cards=[path]))[1:] == [("smile+", 2.0)]
    for names in (("frown", "smile"), ("smile+", "frown")):
        with pytest.raises(UsageError, match=r"both have a column 'smile\+'"):
            plan(*names, cards=[path])


def test_a_label_the_data_lacks_takes_all_images() -> None:
    passes = plan("smile", attributes={"Young"})
    assert {(item.inputs, item.reals) for item in passes} == {("all", "all")}
    assert plan("smile", attributes={"Smiling"})[1].inputs == "Smiling=-1"


def test_sweeps() -> None:
    passes = plan("smile", sweep=True, strengths={"smile": [-2, 0.5]})
    assert columns(passes)[1:] == [("smile-2", -2.0), ("smile+0.5", 0.5)]
    assert [item.inputs for item in passes[1:]] == ["Smiling=1", "Smiling=-1"]
    assert len(plan("pose", sweep=True)) == 10


def test_strengths_keep_their_meaning_for_a_methods_own_direction() -> None:
    assert columns(plan("smile", method="featurestyle"))[1:] == [("smile+", 15.0), ("smile-", -15.0)]
    scaled = plan("smile", method="featurestyle", strengths={"smile": [1.5]})
    assert columns(scaled)[1:] == [("smile+", 7.5), ("smile-", -7.5)]
    swept = plan("smile", method="featurestyle", sweep=True, strengths={"smile": [1.0]})
    assert columns(swept)[1:] == [("smile+1", 5.0)]


def test_a_column_that_an_edit_lacks() -> None:
    with pytest.raises(UsageError, match="'lipstick' has no column 'lipstick-'"):
        plan("lipstick-")


def test_the_list_for_people() -> None:
    listed = {(row["name"], row["generator"]): row for row in rows(all_cards())}
    assert listed["viewpoint", "lsun-car-512"]["columns"] == "viewpoint+ (+2), viewpoint- (-2)"
    assert listed["grass", "lsun-car-512"]["layers"] == "9-10"
