"""Figures of a run: trade-off, reconstruction, distance to the truth, achieved change; the same bytes each time.

Every figure is a pure function of the summaries and carries its protocol. Bars and points have 95 % intervals.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.columns import Metric, split_column
from reports.figures.palette import REFERENCE_COLOUR, Look, looks
from reports.inputs import Facts, Pass, Summaries, interval, number
from reports.naming import RECONSTRUCTION, PassName, is_reference, method_title, split_pass
from reports.table import Entry
from reports.tables import method_rows, pass_order, protocols

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    # Type 3: embedding TrueType cuts the font anew for every file, which took as long as all the drawing.
    "pdf.fonttype": 3,
    "svg.hashsalt": "warpres-bench",
}
_QUALITY = ("fid", "fd", "kid")
_IDENTITY = ("id", "id_mtcnn")
_TRUTH = ("share", "asked_id", "asked_psnr", "asked_lpips")
# Drawn against the change reached -> what the reconstruction has instead.
_AT_CHANGE = {"id": "id", "truth_psnr": "psnr", "truth_lpips": "lpips"}
_NO_CHANGE = Entry(value=0.0)


@dataclass(frozen=True)
class Drawing:
    """One finished figure: file name without suffix, a sentence for readers, its bytes; `wide` needs a page's width."""

    name: str
    caption: str
    png: bytes
    pdf: bytes
    wide: bool = False


@dataclass(frozen=True)
class _Run:
    """Everything a figure reads."""

    summaries: Summaries
    facts: Facts
    protocol: str
    passes: tuple[PassName, ...]
    strengths: Mapping[str, float]
    methods: tuple[str, ...]
    looks: Mapping[str, Look]

    def cell(self, method: str, pass_name: str, metric: str) -> Any:
        return self.summaries.get((method, pass_name), {}).get(f"{metric}@{self.protocol}")

    def strength(self, method: str, pass_name: str) -> float:
        return self.facts.strengths.get((method, pass_name), self.strengths.get(pass_name, 0.0))

    def has(self, pass_name: str, metric: str) -> bool:
        return any(number(self.cell(method, pass_name, metric)) is not None for method in self.methods)

    def metric(self, name: str) -> Metric:
        return self.facts.metric(name, self.protocol)

    def title(self, method: str) -> str:
        return method_title(method, self.facts.titles)

    @property
    def edits(self) -> dict[str, list[PassName]]:
        """Edit -> its passes, in the plan's order."""
        found: dict[str, list[PassName]] = {}
        for item in self.passes:
            if item.name != RECONSTRUCTION:
                found.setdefault(item.edit, []).append(item)
        return found


def draw_all(summaries: Summaries, passes: Sequence[Pass], facts: Facts) -> list[Drawing]:
    """Every figure the numbers allow; a figure without numbers is left out."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {**mpl.rcParamsDefault, "backend": "agg", **_STYLE}
    with mpl.rc_context(settings):
        return [
            drawing
            for protocol in protocols(summaries, facts)
            for drawing in _draw_protocol(_collect(summaries, passes, facts, protocol))
        ]


def _collect(summaries: Summaries, passes: Sequence[Pass], facts: Facts, protocol: str) -> _Run:
    everyone = method_rows(summaries, facts)
    present = [
        method
        for method in everyone
        if any(m == method and split_column(c)[1] == protocol for (m, _), cells in summaries.items() for c in cells)
    ]
    return _Run(
        summaries,
        facts,
        protocol,
        tuple(split_pass(pass_name) for pass_name in pass_order(summaries, passes)),
        {item.pass_name: float(item.strength) for item in passes},
        tuple(present),
        looks(everyone),
    )


def _draw_protocol(run: _Run) -> Iterator[Drawing]:
    drawings = [_reconstruction(run)]
    for draw in (_trade_off, _truth, _at_change):
        drawings += [draw(run, edit, passes) for edit, passes in run.edits.items()]
    drawings.append(_achieved(run))
    yield from (drawing for drawing in drawings if drawing is not None)


@dataclass(frozen=True)
class _Margins:
    """Room around the panels of a figure, in inches; fixed, since searching for a layout costs more than drawing."""

    left: float = 0.62
    right: float = 0.08
    top: float = 0.42
    bottom: float = 0.75
    across: float = 0.68
    down: float = 0.55


def _figure(columns: int, width: float, height: float, rows: int, room: _Margins) -> tuple[Any, list[Any]]:
    """A figure of `rows` x `columns` panels, `width` and `height` in inches, and its axes row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=160)
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    panel_width = (width - room.left - room.right - (columns - 1) * room.across) / columns
    panel_height = (height - room.top - room.bottom - (rows - 1) * room.down) / rows
    figure.subplots_adjust(
        left=room.left / width,
        right=1 - room.right / width,
        top=1 - room.top / height,
        bottom=room.bottom / height,
        wspace=room.across / panel_width,
        hspace=room.down / panel_height,
    )
    return figure, list(axes.flat)


def _finish(figure: Any, name: str, caption: str) -> Drawing:
    png, pdf = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.savefig(pdf, format="pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return Drawing(name, caption, png.getvalue(), pdf.getvalue(), figure.get_figwidth() > 5)


def _label(item: Metric) -> str:
    word = {"down": " (lower is better)", "up": " (higher is better)", "none": ""}[item.better]
    return item.label + word


def _spread(cell: Any) -> list[list[float]] | None:
    """Error bar of one point as matplotlib wants it: [[below], [above]]."""
    value, bounds = number(cell), interval(cell)
    if value is None or bounds is None:
        return None
    return [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]


def _panels(run: _Run, name: str, caption: str, panels: Sequence[tuple[str, str, str]]) -> Drawing | None:
    """Bars side by side, one panel a (title, pass, metric), one bar a method, the reference as a dashed line."""
    shown = [(title, pass_name, metric) for title, pass_name, metric in panels if run.has(pass_name, metric)]
    if not shown:
        return None
    across = min(4, len(shown)) if len(shown) != 6 else 3
    down = -(-len(shown) // across)
    longest = max(len(run.title(method)) for method in run.methods)
    room = _Margins(left=0.2 + 0.063 * longest, bottom=0.28, across=0.2, down=0.52)
    height = room.top + room.bottom + down * (0.1 + 0.22 * len(run.methods)) + (down - 1) * room.down
    figure, axes = _figure(across, 7.0, height, down, room)
    for at, (axis, (title, pass_name, metric)) in enumerate(zip(axes, shown, strict=False)):
        _bars(run, axis, pass_name, metric, title, names=at % across == 0)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    _stamp(run, figure)
    return _finish(figure, f"{name}@{run.protocol}", caption)


def _bars(run: _Run, axis: Any, pass_name: str, metric: str, title: str, names: bool) -> None:
    item = run.metric(metric)
    top = 0.0
    for place, method in enumerate(run.methods):
        cell = run.cell(method, pass_name, metric)
        value = number(cell)
        if value is None:
            axis.text(0, place, " –", va="center", color=REFERENCE_COLOUR)
            continue
        axis.barh(place, value, color=run.looks[method].colour, height=0.66, alpha=0.9)
        spread = _spread(cell)
        if spread is not None:
            axis.errorbar(value, place, xerr=spread, color="#111111", capsize=2, linewidth=0.9)
        reach = value + (spread[1][0] if spread else 0.0)
        axis.annotate(f"{value:.{item.decimals}f}", (reach, place), (3, 0), textcoords="offset points", va="center")
        top = max(top, reach)
    _reference_line(run, axis, pass_name, metric, vertical=True)
    axis.set_yticks(range(len(run.methods)), [run.title(m) for m in run.methods] if names else [])
    axis.set_ylim(len(run.methods) - 0.45, -0.55)
    axis.set_title(f"{title} {item.arrow}", loc="left")
    axis.grid(False, axis="y")
    # A label at the right end would run into the next panel's zero.
    axis.locator_params(axis="x", nbins=4, prune="upper")
    if top > 0:
        axis.set_xlim(0, top * 1.32)


def _reference_line(run: _Run, axis: Any, pass_name: str, metric: str, vertical: bool) -> None:
    value = number(run.cell("real", pass_name, metric))
    if value is None:
        return
    draw = axis.axvline if vertical else axis.axhline
    draw(value, color=REFERENCE_COLOUR, linestyle=(0, (4, 2)), linewidth=0.9, zorder=0.5)


def _reconstruction(run: _Run) -> Drawing | None:
    metrics = sorted({s for s in _metrics(run, RECONSTRUCTION) if run.metric(s).group == "scores"}, key=_place(run))
    panels = [(run.metric(metric).label, RECONSTRUCTION, metric) for metric in metrics[:4]]
    caption = "Reconstruction, with 95 % intervals. Dashed: the real pictures, not edited."
    return _panels(run, "reconstruction", caption, panels)


def _truth(run: _Run, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    panels = [
        (f"{run.metric(metric).label}{p.sign.replace('-', '−')}", p.name, metric)
        for p in passes
        if not p.variant
        for metric in _TRUTH
    ]
    caption = f"{_name(edit)}: the edited pictures against the true edit that was asked for, with 95 % intervals."
    return _panels(run, f"truth-{edit}", caption, panels)


def _trade_off(run: _Run, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    """Quality against identity: one panel a sign, variants of a sign joined by a line."""
    quality = next((s for s in _QUALITY for p in passes if run.has(p.name, s)), None)
    identity = next((s for s in _IDENTITY for p in passes if run.has(p.name, s)), None)
    if quality is None or identity is None:
        return None
    signs = list(dict.fromkeys(p.sign for p in passes))
    figure, axes = _figure(len(signs), 3.5 * max(1.0, 0.95 * len(signs)), 2.9, 1, _Margins())
    for axis, sign in zip(axes, signs, strict=True):
        own = [p for p in passes if p.sign == sign]
        for method in run.methods:
            cells = [(run.cell(method, p.name, identity), run.cell(method, p.name, quality)) for p in own]
            _points(axis, run.looks[method], cells)
        for p in own[:1]:
            _reference_line(run, axis, p.name, quality, vertical=False)
        axis.set_title(PassName("", edit, sign, "").title, loc="left")
        axis.set_xlabel(_label(run.metric(identity)))
        axis.set_ylabel(_label(run.metric(quality)))
        axis.locator_params(axis="x", nbins=5)
        axis.margins(0.14)
    _legend(run, figure)
    caption = (
        f"{_name(edit)}: realism against identity, with 95 % intervals; the best corner is the lower right. "
        "Dashed: the real pictures, not edited."
    )
    return _finish(figure, f"tradeoff-{edit}@{run.protocol}", caption)


def _points(axis: Any, look: Look, cells: Sequence[tuple[Any, Any]]) -> None:
    """One method's cells (x, y) as points with intervals, joined as given; a pair that lacks one is left out."""
    points = []
    for x, y in cells:
        if number(x) is None or number(y) is None:
            continue
        points.append((number(x), number(y)))
        axis.errorbar(*points[-1], xerr=_spread(x), yerr=_spread(y), color=look.colour, capsize=2, linewidth=0.9)
        axis.plot(*points[-1], look.marker, color=look.colour, markersize=6, markeredgecolor="white")
    if len(points) > 1:
        axis.plot(*zip(*points, strict=True), color=look.colour, linewidth=1.1)


def _at_change(run: _Run, edit: str, passes: Sequence[PassName]) -> Drawing | None:
    """Identity and distance to the truth against the change that was reached: every strength, both signs.

    The reconstruction stands at no change, where the truth is the input itself.
    """
    names = [item.name for item in passes]
    metrics = {metric: plain for metric, plain in _AT_CHANGE.items() if any(run.has(name, metric) for name in names)}
    if not metrics or not any(run.has(name, "achieved") for name in names):
        return None
    figure, axes = _figure(len(metrics), 7.0, 2.6, 1, _Margins())
    for axis, (metric, plain) in zip(axes, metrics.items(), strict=True):
        for method in run.methods:
            cells = [(run.cell(method, name, "achieved"), run.cell(method, name, metric)) for name in names]
            cells.append((_NO_CHANGE, run.cell(method, RECONSTRUCTION, plain)))
            _points(axis, run.looks[method], sorted(cells, key=lambda cell: number(cell[0]) or 0.0))
        axis.set_title(f"{run.metric(metric).label} {run.metric(metric).arrow}", loc="left")
        axis.set_xlabel("Measured change")
    _legend(run, figure)
    caption = (
        f"{_name(edit)}: identity and distance to the true edit at the change each method reached, with 95 % "
        "intervals. Compare methods where their changes are equal; at zero stands the reconstruction."
    )
    return _finish(figure, f"change-{edit}@{run.protocol}", caption)


def _achieved(run: _Run) -> Drawing | None:
    """Measured change of the attribute against the strength asked for, one panel an edit."""
    edits = {e: p for e, p in run.edits.items() if any(run.has(item.name, "achieved") for item in p)}
    if not edits:
        return None
    figure, axes = _figure(len(edits), 3.5 * len(edits), 2.8, 1, _Margins())
    for axis, (edit, passes) in zip(axes, edits.items(), strict=True):
        axis.axhline(0, color="#bbbbbb", linewidth=0.8)
        axis.axvline(0, color="#bbbbbb", linewidth=0.8)
        for method in run.methods:
            _change(run, axis, method, passes)
        axis.set_title(_name(edit), loc="left")
        axis.set_xlabel("Strength")
        axis.set_ylabel("Measured change")
    _legend(run, figure)
    caption = "Change of the edited attribute a separate regressor measures, against the strength asked for."
    return _finish(figure, f"achieved@{run.protocol}", caption)


def _change(run: _Run, axis: Any, method: str, passes: Sequence[PassName]) -> None:
    look = run.looks[method]
    points = {}
    for item in passes:
        cell = run.cell(method, item.name, "achieved")
        if (value := number(cell)) is not None:
            x = run.strength(method, item.name)
            points[x] = value
            axis.errorbar(x, value, yerr=_spread(cell), color=look.colour, capsize=2, linewidth=0.9)
    if points:
        axis.plot(list(points), list(points.values()), look.marker, color=look.colour, markeredgecolor="white")
        line = sorted({0.0: 0.0, **points}.items())
        axis.plot(*zip(*line, strict=True), color=look.colour, linewidth=1.1)


def _legend(run: _Run, figure: Any) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=run.looks[m].colour, marker=run.looks[m].marker, markeredgecolor="white", label=run.title(m)
        )
        for m in run.methods
    ]
    across = min(len(handles), 3 if figure.get_figwidth() < 5 else 6)
    figure.legend(handles=handles, loc="lower center", ncols=across, fontsize=7.5)
    _stamp(run, figure)


def _stamp(run: _Run, figure: Any) -> None:
    """The protocol, in the upper right corner of every figure."""
    height = figure.get_figheight()
    figure.text(0.995, 1 - 0.05 / height, run.protocol, ha="right", va="top", fontsize=7, color="#666666")


def _metrics(run: _Run, pass_name: str) -> set[str]:
    return {
        metric
        for (method, own), cells in run.summaries.items()
        if own == pass_name and not is_reference(method, run.facts.references)
        for metric, protocol in map(split_column, cells)
        if protocol == run.protocol
    }


def _place(run: _Run) -> Any:
    return lambda metric: (run.metric(metric).place, metric)


def _name(edit: str) -> str:
    return PassName("", edit, "", "").title
