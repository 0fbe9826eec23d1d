"""What the figures of a run share: their numbers, the room around panels, legends, files; the same bytes each time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reports.columns import Metric
from reports.figures.palette import REFERENCE_COLOUR, Look
from reports.footnotes import image_count
from reports.inputs import Cell, Facts, Summaries, interval, number
from reports.naming import RECONSTRUCTION, PassName, method_title, split_pass
from reports.table import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLE: dict[str, Any] = {
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
# Room for a line of the legend, and what a legend entry takes beside its title, in inches.
_LEGEND_LINE, _LEGEND_KEY, _LEGEND_LETTER = 0.16, 0.5, 0.062


@dataclass(frozen=True)
class Drawing:
    """One finished figure: file name without suffix, a sentence for readers, its bytes; `wide` needs a page's width;
    `alt` says in words what is to be seen."""

    name: str
    caption: str
    png: bytes
    pdf: bytes
    wide: bool = False
    alt: str = ""


@dataclass(frozen=True)
class RunNumbers:
    """Everything a figure reads."""

    summaries: Summaries
    facts: Facts
    protocol: str
    passes: tuple[PassName, ...]
    strengths: Mapping[str, float]
    methods: tuple[str, ...]
    looks: Mapping[str, Look]

    def cell(self, method: str, pass_name: str, metric: str) -> Cell | None:
        """The cell of a method, pass and metric; None where there is none."""
        return self.summaries.get((method, pass_name), {}).get(f"{metric}@{self.protocol}")

    def strength(self, method: str, pass_name: str) -> float:
        """A pass's strength, a method's own where it has one; 0 where none is known."""
        return self.facts.strengths.get((method, pass_name), self.strengths.get(pass_name, 0.0))

    def has(self, pass_name: str, metric: str) -> bool:
        """Whether a method has a number of this metric in this pass."""
        return any(number(self.cell(method, pass_name, metric)) is not None for method in self.methods)

    def metric(self, name: str) -> Metric:
        """How a metric is written under this protocol."""
        return self.facts.metric(name, self.protocol)

    def title(self, method: str) -> str:
        """Printed name of a method."""
        return method_title(method, self.facts.titles)

    @property
    def edits(self) -> dict[str, list[PassName]]:
        """Edit -> its passes, in the plan's order."""
        found: dict[str, list[PassName]] = {}
        for item in self.passes:
            if item.name != RECONSTRUCTION:
                found.setdefault(item.edit, []).append(item)
        return found


@dataclass(frozen=True)
class Margins:
    """Room around the panels of a figure, in inches; fixed, since searching for a layout costs more than drawing."""

    left: float = 0.62
    right: float = 0.08
    top: float = 0.42
    bottom: float = 0.75
    across: float = 0.68
    down: float = 0.55


def new_figure(columns: int, width: float, height: float, rows: int, room: Margins) -> tuple[Figure, list[Axes]]:
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


def finish(figure: Figure, name: str, caption: str, seen: Sequence[str] = ()) -> Drawing:
    """The figure as bytes; `seen`: what each panel shows, in words."""
    png, pdf = io.BytesIO(), io.BytesIO()
    with warnings.catch_warnings():
        # Boxes stand for letters that the font lacks; tables have the names as they are.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(png, format="png", metadata={"Software": None})
        figure.savefig(pdf, format="pdf", metadata={"Creator": None, "Producer": None, "CreationDate": None})
    return Drawing(name, caption, png.getvalue(), pdf.getvalue(), figure.get_figwidth() > 5, " ".join([caption, *seen]))


def spread(cell: Cell | None) -> list[list[float]] | None:
    """Error bar of one point as matplotlib wants it: [[below], [above]]."""
    value, bounds = number(cell), interval(cell)
    if value is None or bounds is None:
        return None
    return [[max(0.0, value - bounds[0])], [max(0.0, bounds[1] - value)]]


def reference_line(run: RunNumbers, axis: Axes, pass_name: str, metric: str, vertical: bool) -> bool:
    """Draw what the real images score, not edited; whether there is such a number."""
    value = number(run.cell("real", pass_name, metric))
    if value is None:
        return False
    draw = axis.axvline if vertical else axis.axhline
    draw(value, color=REFERENCE_COLOUR, linestyle=(0, (4, 2)), linewidth=0.9, zorder=0.5)
    return True


def dashed_words(drawn: bool) -> str:
    """The end of a caption, where a figure has such a line."""
    return " Dashed: copy of the input." if drawn else ""


def counted(run: RunNumbers, shown: Iterable[tuple[str, str]]) -> str:
    """How many images stand behind some (pass, metric)s, for a caption: "n = 48", or "n: Smile + 24, Pose + 48"."""
    sizes: dict[str, int] = {}
    for pass_name, metric in shown:
        column = Column(split_pass(pass_name), run.metric(metric), run.protocol)
        own = image_count(run.summaries, run.facts, [column], pass_name)
        sizes[pass_name] = max(own, sizes.get(pass_name, 0))
    if len({*sizes.values()}) == 1:
        return f"n = {next(iter(sizes.values())):,}"
    return "n: " + ", ".join(f"{split_pass(name).title} {own:,}" for name, own in sizes.items())


def legend_height(run: RunNumbers, width: float) -> float:
    """Inches that a legend of the run's methods takes below a figure `width` inches wide."""
    return _LEGEND_LINE * -(-len(run.methods) // _legend_columns(run, width))


def _legend_columns(run: RunNumbers, width: float) -> int:
    longest = max((len(run.title(method)) for method in run.methods), default=1)
    return max(1, min(len(run.methods), int(width / (_LEGEND_KEY + _LEGEND_LETTER * longest))))


def add_legend(run: RunNumbers, figure: Figure) -> None:
    """Every method's line and marker below the figure, in as many columns as its width has room for."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=run.looks[m].colour, marker=run.looks[m].marker, markeredgecolor="white", label=run.title(m)
        )
        for m in run.methods
    ]
    across = _legend_columns(run, figure.get_figwidth())
    figure.legend(handles=handles, loc="lower center", ncols=across, fontsize=7.5, borderaxespad=0.2, labelspacing=0.35)
    stamp(run, figure)


def said(run: RunNumbers, title: str, pass_name: str, metric: str) -> str:
    """A panel in words: "FD: e4e 0.95, StyleRes 0.10."."""
    decimals = run.metric(metric).decimals
    values = [(run.title(method), number(run.cell(method, pass_name, metric))) for method in run.methods]
    shown = ", ".join(f"{name} {value:.{decimals}f}" for name, value in values if value is not None)
    return f"{title}: {shown}."


def stamp(run: RunNumbers, figure: Figure) -> None:
    """The protocol, in the upper right corner of every figure."""
    height = figure.get_figheight()
    figure.text(0.995, 1 - 0.05 / height, run.protocol, ha="right", va="top", fontsize=7, color="#666666")


def edit_title(edit: str) -> str:
    """ "smile" -> "Smile"."""
    return PassName("", edit, "", "").title
