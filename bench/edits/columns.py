"""From edit names to the columns of a run: which cards, how far, over which images; no direction file is opened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from bench.core.contract import EditPass, Rule
from bench.core.errors import UsageError
from bench.core.subset import label_of
from bench.edits.cards import Card, Column, check_applies, find_card

RECONSTRUCTION = EditPass("reconstruction", None, 0.0)


class Planned(NamedTuple):
    """A pass without its direction yet, and the card that knows where that is; None for the reconstruction."""

    card: Card | None
    edit: EditPass


def plan_columns(
    names: Iterable[str],
    *,
    generator: str,
    method: str | None = None,
    sweep: bool = False,
    strengths: Mapping[str, Sequence[float]] | None = None,
    attributes: Collection[str] | None = None,
    cards: Sequence[Path] = (),
    edits: Collection[Rule] = get_args(Rule),
) -> list[Planned]:
    """The columns of a run, the reconstruction first, each once.

    Args:
        names: Edits ("smile") or single columns of them ("smile+").
        generator, method: As for `bench.edits.directions.load_direction`.
        sweep: Not the card's strengths but one pass a strength of its sweep, columns "smile+1.5".
        strengths: Edit name -> strengths that replace the card's: a magnitude for fixed columns (one number), the grid
            of a sweep. They are in the unit of the card's common direction; where the method has its own, of another
            length, they are scaled by the ratio of the two directions' own strengths.
        attributes: Labels that the data set has; a column whose subset needs another one takes all images, and its
            pass says so (`EditPass.note`).
        cards: Further card files.
        edits: The kinds that the method takes.

    Raises UsageError for a name that does not exist, NotApplicableError for a direction made for another generator,
    other methods or another kind of method.
    """
    planned = {RECONSTRUCTION.pass_name: Planned(None, RECONSTRUCTION)}
    for name in names:
        card, wanted = _resolve(name, generator, cards)
        check_applies(card, method or "this method", edits)
        own = card.for_method(method)
        for column in _columns(card, own, wanted, sweep, (strengths or {}).get(card.name)):
            known = planned.setdefault(column.name, Planned(card, _pass(column, attributes, own.note))).card
            if known is not None and known != card:
                raise UsageError(
                    f"the edits {known.name!r} and {card.name!r} both have a column {column.name!r}",
                    "call a column of your card otherwise",
                )
    return list(planned.values())


def _pass(column: Column, attributes: Collection[str] | None, own: str) -> EditPass:
    """The pass of a column; where images lack the label of a subset, over all of them, and it says so."""
    wanted = (column.inputs, column.reals)
    absent = [text for text in wanted if attributes is not None and label_of(text) not in {"", *attributes}]
    inputs, reals = ("all" if text in absent else text for text in wanted)
    labels = " or ".join(dict.fromkeys(map(label_of, absent)))
    asked = f"the card asks for images of {column.inputs}, compared with those of {column.reals}"
    note = f"all images are taken, since not all have the label {labels}; {asked}" if absent else ""
    return EditPass(column.name, None, column.strength, inputs, reals, "; ".join(filter(None, (own, note))))


def _resolve(name: str, generator: str, cards: Sequence[Path]) -> tuple[Card, str]:
    """The card of "smile" or "smile+", and the single column wanted ("" for all)."""
    if name[-1:] in ("+", "-"):
        card = find_card(name[:-1], generator, cards)
        if name not in [column.name for column in card.columns]:
            has = ", ".join(column.name for column in card.columns)
            raise UsageError(f"the edit {card.name!r} has no column {name!r}", f"its columns: {has}")
        return card, name
    return find_card(name, generator, cards), ""


def _columns(
    common: Card,
    card: Card,
    wanted: str,
    sweep: bool,
    strengths: Sequence[float] | None,
) -> list[Column]:
    columns = [column for column in card.columns if wanted in ("", column.name)]
    unit = card.columns[0].strength / common.columns[0].strength
    if sweep:
        return _sweep(card, strengths, unit) if strengths else _sweep(card, card.sweep, 1.0)
    if strengths is None:
        return columns
    if len(strengths) != 1 or strengths[0] <= 0:
        raise UsageError(f"the edit {card.name!r} takes one strength above 0, got {list(strengths)}")
    return [Column(c.name, _signed(strengths[0] * unit, c.strength), c.inputs, c.reals) for c in columns]


def _sweep(card: Card, strengths: Sequence[float], unit: float) -> list[Column]:
    if not strengths:
        raise UsageError(f"the edit {card.name!r} has no sweep", f"give the strengths: --strength {card.name}=-3,3")
    columns = []
    for strength in strengths:
        # A sweep's step uses the images of the fixed column that goes the same way.
        model = next((c for c in card.columns if c.strength * strength > 0), card.columns[0])
        columns.append(Column(f"{card.name}{strength:+g}", strength * unit, model.inputs, model.reals))
    return columns


def _signed(size: float, like: float) -> float:
    return size if like >= 0 else -size
