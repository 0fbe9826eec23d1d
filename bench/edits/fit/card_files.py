"""Writing edit cards: the TOML file that lets `--card` and `--edits` use a direction that was found here."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.edits.cards import Card, read_card

_LEFT_OUT = ("columns", "overrides")


def write_card(card: Card, path: Path) -> Path:
    """Write a card that is known to work, because its text was read as one.

    Raises UsageError for a card that cannot be a file, MissingError where the file cannot be written.
    """
    text = card_text(card)
    read_card(text, str(path))
    return write_atomic(path, text)


def card_text(card: Card) -> str:
    """The card as TOML, empty fields left out. Cards with replacements for single methods are not written."""
    if card.overrides:
        raise UsageError(f"the edit {card.name!r} has replacements for single methods; such a card is written by hand")
    fields = {key: value for key, value in asdict(card).items() if key not in _LEFT_OUT and value not in ("", (), None)}
    lines = [f"{key} = {_value(value)}" for key, value in fields.items()]
    for column in card.columns:
        lines += ["", "[[columns]]", *(f"{key} = {_value(value)}" for key, value in asdict(column).items())]
    return "\n".join(lines) + "\n"


def plain_name(text: str) -> str:
    """Letters, digits and underscores of a text: what an edit may be called."""
    return re.sub(r"\W+", "_", text).strip("_") or "edit"


def _value(value: object) -> str:
    # Text, numbers and lists are written alike in JSON and TOML.
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
