"""Bars with intervals: the reconstruction, and the edits against the truth; one panel a metric, one bar a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reports.columns import split_column
from reports.figures.canvas import (
    Drawing,
    Margins,
    RunNumbers,
    counted,
    dashed_words,
    edit_title,
    finish,
    new_figure,
    reference_line,
    said,
    spread,
    stamp,
)
from reports.figures.palette import REFERENCE_COLOUR
from reports.inputs import interval, number
from reports.naming import RECONSTRUCTION, PassName, is_reference

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TRUTH = ("share", "asked_id", "asked_psnr", "asked_lpips")
# Inches that a digit of a value's label takes.
_DIGIT = 0.068


def reconstruction(run: RunNumbers) -> Drawing | None:
    """The reconstruction's scores; None where there are none."""
    metrics = sorted({s for s in _metrics(run, RECONSTRUCTION) if run.metric(s).group == "scores"}, key=_place(run))
    panels = [(run.metric(metric).label, RECONSTRUCTION, metric) for metric in metrics[:4]]
    return _panels(run, "reconstruction", "Reconstruction", panels)


def truth(run: RunNumbers, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    """An edit against the true one; None where no truth is known."""
    panels = [
        (f"{run.metric(metric).label}{p.sign.replace('-', '−')}", p.name, metric)
        for p in passes
        if not p.variant
        for metric in _TRUTH
    ]
    caption = f"{edit_title(edit)}: the edited images against the true edit that was asked for"
    return _panels(run, f"truth-{edit}", caption, panels)


def _panels(run: RunNumbers, name: str, caption: str, panels: Sequence[tuple[str, str, str]]) -> Drawing | None:
    """Bars side by side, one panel a (title, pass, metric), one bar a method, the reference as a dashed line."""
    shown = [(title, pass_name, metric) for title, pass_name, metric in panels if run.has(pass_name, metric)]
    if not shown:
        return None
    across = min(4, len(shown)) if len(shown) != 6 else 3
    down = -(-len(shown) // across)
    longest = max(len(run.title(method)) for method in run.methods)
    room = Margins(left=0.2 + 0.063 * longest, bottom=0.28, across=0.2, down=0.52)
    height = room.top + room.bottom + down * (0.1 + 0.22 * len(run.methods)) + (down - 1) * room.down
    figure, axes = new_figure(across, 7.0, height, down, room)
    panel = (7.0 - room.left - room.right - (across - 1) * room.across) / across
    dashed = [
        _bars(run, axis, pass_name, metric, title, panel, names=at % across == 0)
        for at, (axis, (title, pass_name, metric)) in enumerate(zip(axes, shown, strict=False))
    ]
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    stamp(run, figure)
    seen = [said(run, *panel_about) for panel_about in shown]
    metrics = [run.metric(metric) for _, _, metric in shown]
    units = dict.fromkeys(f" {item.label} in {item.unit}." for item in metrics if item.unit)
    said_of = f"{caption}, {counted(run, [own[1:] for own in shown])}, with 95 % intervals."
    return finish(figure, f"{name}@{run.protocol}", said_of + dashed_words(any(dashed)) + "".join(units), seen)


def _bars(run: RunNumbers, axis: Axes, pass_name: str, metric: str, title: str, width: float, names: bool) -> bool:
    """One panel, `width` inches wide; whether it has a dashed line."""
    item = run.metric(metric)
    ends, longest = [0.0], 0
    for place, method in enumerate(run.methods):
        cell = run.cell(method, pass_name, metric)
        value = number(cell)
        if value is None:
            axis.text(0, place, " –", va="center", color=REFERENCE_COLOUR)
            continue
        axis.barh(place, value, color=run.looks[method].colour, height=0.66, alpha=0.9)
        bounds = spread(cell)
        if bounds is not None:
            axis.errorbar(value, place, xerr=bounds, color="#111111", capsize=2, linewidth=0.9)
        text = f"{value:.{item.decimals}f}"
        low, high = interval(cell) or (value, value)
        reach = max(0.0, value, high)
        # Opaque: a dashed line behind a number would strike it through.
        paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axis.annotate(text, (reach, place), (3, 0), textcoords="offset points", va="center", bbox=paper)
        ends += [min(value, low), reach]
        longest = max(longest, len(text))
    dashed = reference_line(run, axis, pass_name, metric, vertical=True)
    axis.set_yticks(range(len(run.methods)), [run.title(m) for m in run.methods] if names else [])
    axis.set_ylim(len(run.methods) - 0.45, -0.55)
    axis.set_title(f"{title} {item.arrow}", loc="left")
    axis.grid(False, axis="y")
    axis.locator_params(axis="x", nbins=4)
    low, high = min(ends), max(ends)
    if high > low:
        # The longest bar leaves room for its number.
        room = min(0.7, (_DIGIT * longest + 0.08) / width)
        axis.set_xlim(low * 1.05, low + (high - low) / (1 - room))
        # A label at the right end would run into the next panel's zero.
        start, end = axis.get_xlim()
        axis.set_xticks([tick for tick in axis.get_xticks() if start <= tick <= end - 0.12 * (end - start)])
    return dashed


def _metrics(run: RunNumbers, pass_name: str) -> set[str]:
    return {
        metric
        for (method, own), cells in run.summaries.items()
        if own == pass_name and not is_reference(method, run.facts.references)
        for metric, protocol in map(split_column, cells)
        if protocol == run.protocol
    }


def _place(run: RunNumbers) -> Callable[[str], tuple[int, str]]:
    return lambda metric: (run.metric(metric).place, metric)
