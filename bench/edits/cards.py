"""Edit cards: a TOML file says where a direction comes from, what it fits and how the tables use it.

A file holds one card, or many that share fields: the shared ones under [common], each card's own under [[card]]. A
card of the same name may exist for several generators ("smile" for FFHQ and for the synthetic world); name and
generator together find it. One more is one file, given with `--card FILE`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from bench.core.contract import Domain, Rule
from bench.core.domains import domains, find_domain
from bench.core.errors import NotApplicableError, UsageError, unknown_name
from bench.core.files import read_text
from bench.core.folder_names import check_name
from bench.core.names import WORDS, in_any_case
from bench.core.schema import MOST_TOML, checked, from_table, parse_toml
from bench.core.subset import ALL

Normalise = Literal["none", "unit_total", "unit_per_row"]
# Directions of unit length take 1 to 30, those of other lengths more; beyond these nothing is an edit of an image.
SMALLEST_STRENGTH, LARGEST_STRENGTH = 1e-4, 1e4


@dataclass(frozen=True)
class Column:
    """How a table uses an edit: a column block, a signed strength, what goes in, what the FID compares with."""

    name: str
    strength: float
    inputs: str = "all"
    reals: str = "all"


@dataclass(frozen=True)
class Card:
    """One edit card.

    Attributes:
        name: What `--edits` calls it.
        domain: "faces" or "cars".
        generator: The generator whose codes it moves ("ffhq-1024", "lsun-car-512", "synthetic-64").
        rule: "add", "set_coordinate", "mapper", "style" or "camera": see `Direction.rule`.
        origin, licence, sign, strength_source: For people; every strength names where it was read.
        group: Kind of edit, as `edits ls` groups them ("GANSpace").
        file: Name of the direction file, resolved by the caller; "" for a camera's, which has none.
        shape: Shape of the tensor in the file; () when any of the accepted shapes will do.
        dim: Width D of the codes; 0 takes it from the file.
        key: Tensor inside the file, for files of several.
        component: Row of the PCA for "set_coordinate".
        layers: First row and last row + 1 that change; () for all.
        normalise: "none", "unit_total" or "unit_per_row".
        columns: Table columns of the fixed strengths.
        sweep: Strengths of a sweep.
        measures: Attribute of the regressor that says how far an edit went ("smile"), "" when none is known.
        methods: Methods the direction was made for; () for every method with such codes.
        threshold: For "style": channels of a smaller share of the largest stay as they are; 0 moves all.
        turn: For "camera": degrees of yaw and pitch at strength 1.
        note: What every table must say of the numbers.
        overrides: Method name -> fields that replace these for it (its own boundary).
    """

    name: str
    domain: Domain
    generator: str
    rule: Rule
    origin: str
    licence: str
    sign: str
    strength_source: str
    columns: tuple[Column, ...]
    file: str = ""
    group: str = ""
    shape: tuple[int, ...] = ()
    dim: int = 512
    key: str = ""
    component: int | None = None
    layers: tuple[int, ...] = ()
    normalise: Normalise = "none"
    sweep: tuple[float, ...] = ()
    measures: str = ""
    methods: tuple[str, ...] = ()
    threshold: float = 0.0
    turn: tuple[float, ...] = ()
    note: str = ""
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def for_method(self, method: str | None) -> Card:
        """The card with the method's own replacements in place.

        Raises UsageError when the direction was made for other methods.
        """
        base = (method or "").partition("+")[0]
        if self.methods and method is not None and base not in self.methods:
            made_for = ", ".join(self.methods)
            raise NotApplicableError(
                f"the edit {self.name!r} is a direction of {made_for}'s own codes, not of {method}'s"
            )
        change = self.overrides.get(base)
        return replace(self, **change, overrides={}) if change else self


def read_card(text: str, where: str) -> Card:
    """The one card of a text. Raises UsageError naming `where` and the field that does not fit, or several cards."""
    cards = read_cards(text, where)
    if len(cards) != 1:
        raise UsageError(f"{where}: {len(cards)} cards, expected one")
    return cards[0]


def read_cards(text: str, where: str) -> tuple[Card, ...]:
    """The cards of a text: one, or those of its [[card]] tables over the fields of [common].

    Raises UsageError naming `where`, the card and the field that does not fit.
    """
    table = parse_toml(text, where)
    if "card" not in table:
        return (_card(table, where),)
    if strangers := sorted(table.keys() - {"common", "card"}):
        raise UsageError(f"{where}: {strangers[0]} stands beside [[card]]", "fields of all cards belong under [common]")
    common, own = table.get("common", {}), table["card"]
    if not isinstance(common, dict) or not isinstance(own, list) or not all(isinstance(one, dict) for one in own):
        raise UsageError(f"{where}: cards are tables: [common] and [[card]]", "or the fields of one card alone")
    numbered = enumerate(own, 1)
    return tuple(_card({**common, **fields}, f"{where}, {fields.get('name', number)}") for number, fields in numbered)


def _card(table: Mapping[str, Any], where: str) -> Card:
    fields = dict(table)
    given = fields.pop("override", {})
    if not isinstance(given, Mapping) or not all(isinstance(change, Mapping) for change in given.values()):
        raise UsageError(f"{where}: override is {given!r}, but must be tables by method")
    overrides = {method: checked(Card, change, where) for method, change in given.items()}
    if "strength" in fields and "columns" not in fields:
        # One column, called as the edit.
        fields["columns"] = [{"name": fields.get("name", ""), "strength": fields.pop("strength")}]
    card = from_table(Card, {**fields, "overrides": overrides}, where)
    _check(card, where)
    for method in overrides:
        _check(card.for_method(method), f"{where}, override {method}")
    return card


@cache
def _shipped() -> tuple[Card, ...]:
    folder = files("bench.edits") / "cards"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    return tuple(card for path in paths for card in read_cards(path.read_text(encoding="utf-8"), path.name))


def all_cards(extra: Sequence[Path] = ()) -> list[Card]:
    """The shipped cards and those of `extra` files, sorted by generator and name.

    Raises UsageError for a name used twice.
    """
    cards = [*_shipped(), *(card for path in extra for card in read_cards(_text(path), str(path)))]
    seen: set[tuple[str, str]] = set()
    for card in cards:
        if (card.generator, card.name) in seen:
            raise UsageError(f"two edit cards are called {card.name!r} for {card.generator}")
        seen.add((card.generator, card.name))
    return sorted(cards, key=lambda card: (card.generator, card.name))


def find_card(name: str, generator: str, extra: Sequence[Path] = ()) -> Card:
    """The card of an edit for a generator. Raises UsageError: unknown (with close names), or for another generator."""
    cards = all_cards(extra)
    name = in_any_case(name, [card.name for card in cards if card.generator == generator])
    for card in cards:
        if (card.name, card.generator) == (name, generator):
            return card
    others = [card.generator for card in cards if card.name == name]
    known = [card.name for card in cards if card.generator == generator]
    if others:
        raise NotApplicableError(
            f"the edit {name!r} is a direction for {', '.join(others)}; this generator is {generator}",
            f"edits for {generator}: {', '.join(known) or 'none'}; `run_bench.py edits fit` finds new ones",
        )
    error = unknown_name(f"edit for {generator}", name, known)
    raise UsageError(error.what, f"{error.next_step}; or a card of your own: --card FILE")


# What an edit of a kind that not every method takes works on.
_NEEDS = {"style": "the styles of a StyleGAN2 generator", "camera": "the camera of a 3D generator"}


def check_applies(card: Card, method: str, edits: Collection[Rule]) -> None:
    """Raise NotApplicableError where a method does not take edits of the card's kind."""
    if card.rule not in edits:
        moved = _NEEDS.get(card.rule, "W+ codes")
        raise NotApplicableError(f"the edit {card.name!r} moves {moved}, which {method} does not have")


def _check(card: Card, where: str) -> None:
    check_name(card.name, f"{where}: edit", WORDS)
    if card.name[-1] in "+-":
        raise UsageError(f"{where}: the edit {card.name!r} ends as columns do", f"call it {card.name[:-1]!r}")
    if card.domain not in domains():
        error = unknown_name("domain", card.domain, list(domains()))
        raise UsageError(f"{where}: {error.what}", error.next_step)
    if card.rule == "set_coordinate" and card.component is None:
        raise UsageError(f"{where}: set_coordinate needs a component")
    if card.rule == "camera" and len(card.turn) != 2:
        raise UsageError(f"{where}: camera needs turn = [yaw, pitch], degrees at strength 1")
    if not card.file and card.rule != "camera":
        raise UsageError(f"{where}: no file")
    if card.layers and (len(card.layers) != 2 or not 0 <= card.layers[0] < card.layers[1]):
        raise UsageError(f"{where}: layers are {list(card.layers)}, expected [first, last + 1]")
    if card.dim < 0 or (card.component or 0) < 0 or min(card.shape, default=1) < 1 or card.threshold < 0:
        raise UsageError(f"{where}: dim, component, shape and threshold are not negative")
    if not card.columns:
        raise UsageError(f"{where}: no columns")
    for column in card.columns:
        check_name(column.name, f"{where}: column", ("original", "reconstruction"))
        check_strength(column.strength, f"{where}: the strength of {column.name}")
        _check_subsets(column, where)
    for strength in card.sweep:
        check_strength(strength, f"{where}: a strength of the sweep", zero=True)
    if twice := _twice([column.name for column in card.columns]):
        raise UsageError(f"{where}: two columns are called {twice!r}")
    if twice := _twice([f"{strength:+g}" for strength in card.sweep]):
        raise UsageError(f"{where}: the sweep has the strength {twice} twice")


def _check_subsets(column: Column, where: str) -> None:
    for subset in (column.inputs, column.reals):
        if subset != ALL and subset.partition("=")[2] not in ("1", "-1"):
            raise UsageError(f"{where}: {subset!r} of {column.name} is no subset", 'all, or a label: "Smiling=-1"')


def _twice(names: Sequence[str]) -> str:
    return next((name for name in names if names.count(name) > 1), "")


def check_strength(strength: float, what: str, *, zero: bool = False) -> None:
    """Raise UsageError for a strength at which codes leave the numbers that networks compute with, or stay.

    Args:
        what: Whose it is, for the message.
        zero: Nothing at all may be asked for, as a sweep does in its middle.
    """
    if not SMALLEST_STRENGTH <= abs(strength) <= LARGEST_STRENGTH and not (zero and strength == 0):
        raise UsageError(f"{what} is {strength:g}", f"{SMALLEST_STRENGTH:g} to {LARGEST_STRENGTH:g}, of either sign")


def _text(path: Path) -> str:
    try:
        return read_text(path, MOST_TOML)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{path}: the edit card cannot be read ({why})") from error


def rows(cards: Sequence[Card]) -> list[dict[str, str]]:
    """The answer of `edits ls`: one dictionary of text a card."""
    return [
        {
            "name": card.name,
            "generator": card.generator,
            "domain": card.domain,
            "rule": card.rule,
            "group": card.group,
            "layers": "all" if not card.layers else f"{card.layers[0]}-{card.layers[1] - 1}",
            "columns": ", ".join(f"{column.name} ({column.strength:+g})" for column in card.columns),
            "file": card.file,
            "licence": card.licence,
            "origin": card.origin,
        }
        for card in cards
    ]


def generator_of(domain: Domain, latent_rows: int) -> str:
    """Name of the generator that a method of this domain and L uses, as cards call it ("ffhq-1024": 18 rows)."""
    return find_domain(domain).generator(2 ** ((latent_rows + 2) // 2))
