"""Figures of a run: trade-off, reconstruction, distance to the truth, achieved change; the same bytes each time.

Every figure is a pure function of the summaries and carries its protocol. Bars and points have 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from reports.columns import Metric, split_column
from reports.figures.bars import reconstruction, truth
from reports.figures.canvas import (
    STYLE,
    Drawing,
    Margins,
    RunNumbers,
    add_legend,
    counted,
    dashed_words,
    edit_title,
    finish,
    legend_height,
    new_figure,
    reference_line,
    said,
    spread,
)
from reports.figures.palette import Look, looks
from reports.inputs import Cell, Facts, Pass, Summaries, number
from reports.naming import RECONSTRUCTION, PassName, split_pass
from reports.tables import method_rows, pass_order, protocols

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUALITY = ("fid", "fd", "kid")
_IDENTITY = ("id", "id_mtcnn")
# Drawn against the achieved change -> what the reconstruction has instead.
_AT_CHANGE = {"id": "id", "truth_psnr": "psnr", "truth_lpips": "lpips"}
_NO_CHANGE = Cell(0.0, None, None, 0)
# What observers measure the change of an edit in, see the column "achieved"; of others it is their own unit.
_CHANGE_UNITS = {"pose": "degrees"}
# Room for the axis below panels, above the legend, in inches.
_AXIS = 0.47


def draw_all(summaries: Summaries, passes: Sequence[Pass], facts: Facts) -> list[Drawing]:
    """Every figure the numbers allow; a figure without numbers is left out."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {**mpl.rcParamsDefault, "backend": "agg", **STYLE}
    with mpl.rc_context(settings):
        return [
            drawing
            for protocol in protocols(summaries, facts)
            for drawing in _draw_protocol(_collect(summaries, passes, facts, protocol))
        ]


def _collect(summaries: Summaries, passes: Sequence[Pass], facts: Facts, protocol: str) -> RunNumbers:
    everyone = method_rows(summaries, facts)
    present = [
        method
        for method in everyone
        if any(m == method and split_column(c)[1] == protocol for (m, _), cells in summaries.items() for c in cells)
    ]
    return RunNumbers(
        summaries,
        facts,
        protocol,
        tuple(split_pass(pass_name) for pass_name in pass_order(summaries, passes)),
        {item.pass_name: float(item.strength) for item in passes},
        tuple(present),
        looks(everyone),
    )


def _draw_protocol(run: RunNumbers) -> Iterator[Drawing]:
    drawings = [reconstruction(run)]
    for draw in (_trade_off, truth, _at_change):
        drawings += [draw(run, edit, passes) for edit, passes in run.edits.items()]
    drawings.append(_achieved(run))
    yield from (drawing for drawing in drawings if drawing is not None)


def _with_legend(run: RunNumbers, panels: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A row of panels, `width` by `height` inches, the legend's height below that."""
    below = legend_height(run, width)
    return new_figure(panels, width, height + below, 1, Margins(bottom=_AXIS + below))


def _label(item: Metric) -> str:
    word = {"down": " (lower is better)", "up": " (higher is better)", "none": ""}[item.better]
    return item.axis + word


def _trade_off(run: RunNumbers, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    """Quality against identity: one panel a sign, variants of a sign joined by a line."""
    quality = next((s for s in _QUALITY for p in passes if run.has(p.name, s)), None)
    identity = next((s for s in _IDENTITY for p in passes if run.has(p.name, s)), None)
    if quality is None or identity is None:
        return None
    signs = list(dict.fromkeys(p.sign for p in passes))
    figure, axes = _with_legend(run, len(signs), 3.5 * max(1.0, 0.95 * len(signs)), 2.7)
    dashed = False
    for axis, sign in zip(axes, signs, strict=True):
        own = [p for p in passes if p.sign == sign]
        for method in run.methods:
            cells = [(run.cell(method, p.name, identity), run.cell(method, p.name, quality)) for p in own]
            _points(axis, run.looks[method], cells)
        for p in own[:1]:
            dashed |= reference_line(run, axis, p.name, quality, vertical=False)
        axis.set_title(PassName("", edit, sign, "").title, loc="left")
        axis.set_xlabel(_label(run.metric(identity)))
        axis.set_ylabel(_label(run.metric(quality)))
        axis.locator_params(axis="x", nbins=5)
        axis.margins(0.14)
    add_legend(run, figure)
    caption = (
        f"{edit_title(edit)}: realism against identity to the input, "
        f"{counted(run, [(p.name, m) for p in passes for m in (identity, quality)])}, with 95 % intervals; the best "
        "corner is the lower right." + dashed_words(dashed)
    )
    seen = [
        said(run, f"{PassName('', edit, p.sign, p.variant).title}, {run.metric(m).label}", p.name, m)
        for p in passes
        for m in (identity, quality)
    ]
    return finish(figure, f"tradeoff-{edit}@{run.protocol}", caption, seen)


def _points(axis: Axes, look: Look, cells: Sequence[tuple[Cell | None, Cell | None]]) -> None:
    """One method's cells (x, y) as points with intervals, joined as given; a pair that lacks one is left out."""
    points = []
    for x, y in cells:
        across, up = number(x), number(y)
        if across is None or up is None:
            continue
        points.append((across, up))
        axis.errorbar(across, up, xerr=spread(x), yerr=spread(y), color=look.colour, capsize=2, linewidth=0.9)
        axis.plot(across, up, look.marker, color=look.colour, markersize=6, markeredgecolor="white")
    if len(points) > 1:
        axis.plot(*zip(*points, strict=True), color=look.colour, linewidth=1.1)


def _at_change(run: RunNumbers, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    """Identity and distance to the achieved truth against the achieved change: every strength, both signs.

    The reconstruction stands at no change, where the truth is the input itself.
    """
    names = [item.name for item in passes]
    metrics = {metric: plain for metric, plain in _AT_CHANGE.items() if any(run.has(name, metric) for name in names)}
    if not metrics or not any(run.has(name, "achieved") for name in names):
        return None
    figure, axes = _with_legend(run, len(metrics), 7.0, 2.4)
    for axis, (metric, plain) in zip(axes, metrics.items(), strict=True):
        for method in run.methods:
            cells = [(run.cell(method, name, "achieved"), run.cell(method, name, metric)) for name in names]
            cells.append((_NO_CHANGE, run.cell(method, RECONSTRUCTION, plain)))
            _points(axis, run.looks[method], sorted(cells, key=lambda cell: number(cell[0]) or 0.0))
        axis.set_title(f"{run.metric(metric).axis} {run.metric(metric).arrow}", loc="left")
        axis.set_xlabel(_change_label(edit))
    add_legend(run, figure)
    caption = (
        f"{edit_title(edit)}: identity to the input and distance to the achieved truth (the true edit at the change "
        f"each method achieved), {counted(run, [(name, m) for name in names for m in metrics])}, with 95 % intervals. "
        "Compare methods where their changes are equal; at zero stands the reconstruction."
    )
    seen = [said(run, f"{split_pass(name).title}, {run.metric(m).label}", name, m) for name in names for m in metrics]
    return finish(figure, f"change-{edit}@{run.protocol}", caption, seen)


def _achieved(run: RunNumbers) -> Drawing | None:
    """Achieved change of the attribute against the edit's strength, one panel an edit."""
    edits = {e: p for e, p in run.edits.items() if any(run.has(item.name, "achieved") for item in p)}
    if not edits:
        return None
    figure, axes = _with_legend(run, len(edits), 3.5 * len(edits), 2.6)
    for axis, (edit, passes) in zip(axes, edits.items(), strict=True):
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.axvline(0, color="#bbbbbb", linewidth=0.8)
        for method in run.methods:
            _change(run, axis, method, passes)
        axis.set_title(edit_title(edit), loc="left")
        axis.set_xlabel("Strength")
        axis.set_ylabel(_change_label(edit))
    add_legend(run, figure)
    passed = [(item.name, "achieved") for own in edits.values() for item in own]
    caption = (
        "Achieved change of the edited attribute, measured on the pixels by a separate regressor, against the edit's "
        f"strength, {counted(run, passed)}, with 95 % intervals."
    )
    seen = [said(run, item.title, item.name, "achieved") for own in edits.values() for item in own]
    return finish(figure, f"achieved@{run.protocol}", caption, seen)


def _change_label(edit: str) -> str:
    """What the axis of an edit's achieved change says."""
    return f"Achieved change ({_CHANGE_UNITS.get(edit, 'its own unit')})"


def _change(run: RunNumbers, axis: Axes, method: str, passes: Sequence[PassName]) -> None:
    look = run.looks[method]
    points = {}
    for item in passes:
        cell = run.cell(method, item.name, "achieved")
        if (value := number(cell)) is not None:
            x = run.strength(method, item.name)
            points[x] = value
            axis.errorbar(x, value, yerr=spread(cell), color=look.colour, capsize=2, linewidth=0.9)
    if points:
        axis.plot(list(points), list(points.values()), look.marker, color=look.colour, markeredgecolor="white")
        line = sorted({0.0: 0.0, **points}.items())
        axis.plot(*zip(*line, strict=True), color=look.colour, linewidth=1.1)
