"""Edit cards: one TOML file an edit, saying where a direction comes from, what it fits and how the tables use it.

A card of the same name may exist for several generators ("smile" for FFHQ and for the synthetic world); name and
generator together find it.

StyleRes' own table has 42 GANSpace entries for faces. Cards exist for those whose component, layers and strength our
sources state (`GANSPACE_FACES`); the others' numbers are not known to us, and none were made up. One more is one file,
given with `--card FILE`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast

from bench.core.contract import Domain
from bench.core.errors import UsageError, unknown_name

# How many of the 42 have a card; a test counts them.
GANSPACE_FACES = 10
GAP = (
    f"{GANSPACE_FACES} of the 42 GANSpace face entries of StyleRes' table are here; our sources do not state the "
    "others' numbers. A card of one's own is one file: --card FILE."
)

Rule = Literal["add", "set_coordinate"]
Normalise = Literal["none", "unit_total", "unit_per_row"]


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
        rule: "add" (codes + s * vector) or "set_coordinate" (GANSpace: the coordinate read in row 0 is set to s).
        origin, licence, sign, strength_source: For people; every strength names where it was read.
        file: Name of the direction file, resolved by the caller.
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
    file: str
    columns: tuple[Column, ...]
    shape: tuple[int, ...] = ()
    dim: int = 512
    key: str = ""
    component: int | None = None
    layers: tuple[int, ...] = ()
    normalise: Normalise = "none"
    sweep: tuple[float, ...] = ()
    measures: str = ""
    methods: tuple[str, ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def for_method(self, method: str | None) -> Card:
        """The card with the method's own replacements in place.

        Raises UsageError when the direction was made for other methods.
        """
        base = (method or "").partition("+")[0]
        if self.methods and method is not None and base not in self.methods:
            made_for = ", ".join(self.methods)
            raise UsageError(f"the edit {self.name!r} is a direction of {made_for}'s own codes, not of {method}'s")
        change = self.overrides.get(base)
        return replace(self, **change, overrides={}) if change else self


def read_card(text: str, where: str) -> Card:
    """Parse the text of a card. Raises UsageError naming `where` and the field that does not fit."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not a TOML file ({error})") from error
    overrides = {method: _fields(change, where) for method, change in table.pop("override", {}).items()}
    try:
        card = Card(**_fields(table, where), overrides=overrides)
    except TypeError as error:
        raise UsageError(f"{where}: {str(error).replace('Card.__init__() ', '')}") from error
    _check(card, where)
    for method in overrides:
        _check(card.for_method(method), f"{where}, override {method}")
    return card


@cache
def _shipped() -> tuple[Card, ...]:
    folder = files("bench.edits") / "cards"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda path: path.name)
    return tuple(read_card(path.read_text(encoding="utf-8"), path.name) for path in paths)


def all_cards(extra: Sequence[Path] = ()) -> list[Card]:
    """The shipped cards and those of `extra` files, sorted by generator and name.

    Raises UsageError for a name used twice.
    """
    cards = [*_shipped(), *(read_card(_text(path), str(path)) for path in extra)]
    seen: set[tuple[str, str]] = set()
    for card in cards:
        if (card.generator, card.name) in seen:
            raise UsageError(f"two edit cards are called {card.name!r} for {card.generator}")
        seen.add((card.generator, card.name))
    return sorted(cards, key=lambda card: (card.generator, card.name))


def find_card(name: str, generator: str, extra: Sequence[Path] = ()) -> Card:
    """The card of an edit for a generator. Raises UsageError: unknown (with close names), or for another generator."""
    cards = all_cards(extra)
    for card in cards:
        if (card.name, card.generator) == (name, generator):
            return card
    others = [card.generator for card in cards if card.name == name]
    known = [card.name for card in cards if card.generator == generator]
    if others:
        raise UsageError(
            f"the edit {name!r} is a direction for {', '.join(others)}; this generator is {generator}",
            f"edits for {generator}: {', '.join(known) or 'none'}; `run_bench.py edits fit` finds new ones",
        )
    error = unknown_name(f"edit for {generator}", name, known)
    raise UsageError(error.what, f"{error.next_step}; or a card of your own: --card FILE")


def _fields(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in table.items():
        if key == "columns":
            try:
                result[key] = tuple(Column(**column) for column in value)
            except TypeError as error:
                raise UsageError(f"{where}: a column has wrong fields ({error})") from error
        else:
            result[key] = tuple(value) if isinstance(value, list) else value
    return result


def _check(card: Card, where: str) -> None:
    if card.domain not in ("faces", "cars"):
        raise UsageError(f"{where}: domain is {card.domain!r}, expected faces or cars")
    if card.rule not in ("add", "set_coordinate"):
        raise UsageError(f"{where}: rule is {card.rule!r}, expected add or set_coordinate")
    if card.normalise not in ("none", "unit_total", "unit_per_row"):
        raise UsageError(f"{where}: normalise is {card.normalise!r}, expected none, unit_total or unit_per_row")
    if card.rule == "set_coordinate" and card.component is None:
        raise UsageError(f"{where}: set_coordinate needs a component")
    if card.layers and (len(card.layers) != 2 or not 0 <= card.layers[0] < card.layers[1]):
        raise UsageError(f"{where}: layers are {list(card.layers)}, expected [first, last + 1]")
    if not card.columns:
        raise UsageError(f"{where}: no columns")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the edit card cannot be read ({error})") from error


def rows(cards: Sequence[Card]) -> list[dict[str, str]]:
    """The answer of `edits ls`: one dictionary of text a card."""
    return [
        {
            "name": card.name,
            "generator": card.generator,
            "domain": cast(str, card.domain),
            "rule": card.rule,
            "layers": "all" if not card.layers else f"{card.layers[0]}-{card.layers[1] - 1}",
            "columns": ", ".join(f"{column.name} ({column.strength:+g})" for column in card.columns),
            "file": card.file,
            "licence": card.licence,
            "origin": card.origin,
        }
        for card in cards
    ]


def generator_of(domain: Domain, latent_rows: int) -> str:
    """Name of the generator that a method of this domain and L uses, as cards call it ("ffhq-1024" for faces of 18
    rows).

    L = 2 log2(size) - 2 (stylegan2 card, section 1).
    """
    size = 2 ** ((latent_rows + 2) // 2)
    known = {("faces", 1024): "ffhq-1024", ("cars", 512): "lsun-car-512", ("faces", 64): "synthetic-64"}
    return known.get((domain, size), f"{domain}-{size}")
