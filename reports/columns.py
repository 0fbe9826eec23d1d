"""The catalogue of columns: how a metric is called, which way is better, and the sentence that explains it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bench.core.schema import from_table, read_toml

Better = Literal["down", "up", "none"]
Group = Literal["scores", "truth", "details"]
ARROWS: dict[Better, str] = {"down": "↓", "up": "↑", "none": ""}
_BETTER: dict[str, Better] = {"lower": "down", "higher": "up", "down": "down", "up": "up", "none": "none"}


@dataclass(frozen=True)
class Metric:
    """One entry of `columns.toml`.

    Attributes:
        name: The metric's name, as in `metric@protocol`.
        label: Heading.
        decimals: Digits after the point in tables for people; CSV has all digits.
        where: Passes that show it: "all", "reconstruction" or "edits".
        group: Table it belongs to; "details" is shown on request alone (`--columns all`).
        help: One or two sentences for the reader.
        place: Position among the columns.
        better: Which way is better: the protocol's word, or for what no protocol lists that of `columns.toml`.
        unit: What axes of figures and legends of tables add to the label; "" for a number without one.
        without: Which images have no such number, where a pass has some.
    """

    name: str
    label: str
    decimals: int
    where: Literal["all", "reconstruction", "edits"]
    group: Group
    help: str
    place: int
    better: Better = "none"
    unit: str = ""
    without: str = ""

    @property
    def arrow(self) -> str:
        """Which way is better: "↓", "↑", or "" where neither is."""
        return ARROWS[self.better]

    @property
    def axis(self) -> str:
        """The label with its unit, for an axis: "PSNR (dB)"."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def shown_for(self, reconstruction: bool) -> bool:
        """Whether a pass of that kind shows this metric in a table."""
        return self.where in ("all", "reconstruction" if reconstruction else "edits")


@cache
def _catalogue() -> dict[str, Metric]:
    entries = read_toml(Path(__file__).parent / "columns.toml")
    return {
        name: from_table(Metric, {"name": name, "place": place, **entry}, f"columns.toml: {name}")
        for place, (name, entry) in enumerate(entries.items())
    }


def metric(name: str, about: Mapping[str, Any] | None = None) -> Metric:
    """The catalogue's entry for a metric, or a plain one with its name as its label.

    `about` is what the protocol itself says of the column (title, better, what); it has the last word.
    """
    known = _catalogue()
    found = known.get(name) or _unlisted(name, len(known))
    if not about:
        return found
    better = _BETTER.get(str(about.get("better", "")), found.better)
    return replace(found, label=about.get("title") or found.label, better=better, help=about.get("what") or found.help)


def _unlisted(name: str, place: int) -> Metric:
    group: Group = "details" if name.startswith(("asked_", "truth_", "flow_")) else "scores"
    where: Literal["all", "edits"] = "edits" if group == "details" else "all"
    return Metric(name, name, 3, where, group, f"No description on file for {name!r}.", place)


def split_column(column: str) -> tuple[str, str]:
    """`metric@protocol` taken apart; a column without a protocol is refused.

    Raises:
        ValueError: The column names no protocol, so it could be mixed with others unseen.
    """
    metric, at, protocol = column.partition("@")
    if not (metric and at and protocol):
        raise ValueError(f"column {column!r} names no protocol; expected `metric@protocol`")
    return metric, protocol
