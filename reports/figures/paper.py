"""The paper's image figures from the images a run kept: Fig. 1, 3 to 5, 6 and 7, by rule or by a list of images.

Which images are shown, and by what rule, is written under each figure. What a run did not make stays empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import wrap
from typing import Literal

from bench.core.errors import UsageError
from bench.core.names import kept_as, known_name
from bench.data.align.yaw import landmark_yaw
from reports.figures.flow_view import full_length
from reports.figures.grids import Field, Grid, compose
from reports.figures.nearest_view import Views, nearest_views
from reports.figures.run_images import RunImage, passes_of
from reports.inputs import Facts
from reports.naming import RECONSTRUCTION, in_reading_order, is_reference, method_title, split_pass

Rule = Literal["first", "spread"]
FIGURES = {
    1: "Edits of one method: a row a photograph, a column an edit",
    3: "Base encoders alone and with residuals: a row an edit of a photograph, a column a method",
    4: "Methods on faces: a row an edit of a photograph, a column a method",
    5: "Methods on cars: a row an edit of a photograph, a column a method",
    6: "2D and 3D inversion: input, and of each method its inversion and its views",
    7: "Estimated flows: for each edit the edited image and its flow",
}
_CHARACTERS = 110


@dataclass(frozen=True)
class Selection:
    """Which images a figure shows.

    Attributes:
        names: Stems of their names, in order.
        why: The rule in words, for the line under the figure.
    """

    names: tuple[str, ...]
    why: str


def select_images(images: Sequence[RunImage], count: int, rule: Rule = "first", asked: Sequence[str] = ()) -> Selection:
    """The images asked for, or `count` by a rule that looks at no result.

    "first": the first that the run kept; "spread": evenly over those it kept.

    Raises UsageError for a name the run kept no image of.
    """
    known = [image.name for image in images]
    if asked:
        stems = [name if name in known else kept_as(name) for name in asked]
        return Selection(tuple(known_name("image of this run", name, known) for name in stems), "asked for by name")
    count = min(count, len(known))
    if rule == "first":
        return Selection(tuple(known[:count]), f"the first {count} of the {len(known)} the run kept")
    places = [round(number * (len(known) - 1) / max(1, count - 1)) for number in range(count)]
    return Selection(tuple(known[place] for place in places), f"every so many of the {len(known)} the run kept")


def draw_figure(
    number: int,
    images: Sequence[RunImage],
    passes: Sequence[str],
    facts: Facts,
    selection: Selection,
    *,
    methods: Sequence[str] = (),
    costs: Mapping[str, str] | None = None,
) -> Grid:
    """One figure of the paper's layout.

    Args:
        number: 1, 3, 4, 5, 6 or 7.
        images, passes: What the run kept, and its passes in order.
        selection: The images to show.
        methods: Methods to show, in order; by default all that made images (Fig. 1 and 7: the last of them that can).
        costs: Method -> a line on its speed and memory, printed below.

    Raises UsageError for a figure that is no image grid, or for which the run made nothing.
    """
    if number not in FIGURES:
        raise UsageError(f"figure {number} is not drawn from images", f"one of {', '.join(map(str, FIGURES))}")
    chosen = [image for name in selection.names for image in images if image.name == name]
    made = in_reading_order((method for image in chosen for method, _ in image.made), facts.places)
    made = [name for name in made if not is_reference(name, facts.references)]
    shown = [known_name("method with images in this run", name, made) for name in methods] or made
    if not shown:
        raise UsageError("the run kept no images to draw a figure of", "run it with run.grid_pictures above 0")
    if number in (1, 7):
        # One method's figure: the last that can, for the flow one that estimates some.
        able = [m for m in shown if number == 1 or any(method == m for image in chosen for method, _ in image.flows)]
        shown = able[-1:]
    passes = passes_of(chosen, passes)
    views = nearest_views(chosen, passes, shown, landmark_yaw()) if number == 6 else {}
    layouts: dict[int, _Draw] = {1: _edits_of_one, 6: partial(_views, views=views), 7: _flows}
    heads, names, rows, legend = layouts.get(number, _methods_across)(chosen, passes, shown, facts)
    foot = [f"Images: {', '.join(selection.names)} ({selection.why})."]
    foot += (
        _strengths(shown, passes, facts)
        + _matched(views, facts)
        + [f"{method_title(m, facts.titles)}: {c}" for m, c in (costs or {}).items()]
    )
    caption = f"{FIGURES[number]}. {foot[0]}"
    lines = [line for text in foot for line in wrap(text, _CHARACTERS)]
    return compose(f"figure{number}", caption, f"Figure {number}", heads, names, rows, legend, lines)


_Layout = tuple[list[str], list[str], list[list[Field]], float | None]
_Draw = Callable[[Sequence[RunImage], Sequence[str], Sequence[str], Facts], _Layout]


def _edits_of_one(images: Sequence[RunImage], passes: Sequence[str], methods: Sequence[str], facts: Facts) -> _Layout:
    """Fig. 1: input, inversion and every edit of one method."""
    (method,) = methods
    heads = ["Input", *(_title(pass_name) for pass_name in passes)]
    rows = [[Field(image.input), *(Field(image.made.get((method, c))) for c in passes)] for image in images]
    return heads, [image.name for image in images], rows, None


def _methods_across(images: Sequence[RunImage], passes: Sequence[str], methods: Sequence[str], facts: Facts) -> _Layout:
    """Fig. 3 to 5: one row an edit of a photograph, the methods across."""
    heads = ["Input", *(method_title(method, facts.titles) for method in methods)]
    names, rows = [], []
    for image in images:
        for pass_name in passes:
            names.append(f"{image.name}, {_title(pass_name)}")
            rows.append([Field(image.input), *(Field(image.made.get((method, pass_name))) for method in methods)])
    return heads, names, rows, None


def _views(
    images: Sequence[RunImage], passes: Sequence[str], methods: Sequence[str], facts: Facts, *, views: Views
) -> _Layout:
    """Fig. 6: input, then of each method its inversion and the edits that are its own, or the nearest to each view."""
    matched = {method: dict.fromkeys(v for _, m, v in views if m == method) for method in methods}
    pairs = [
        (m, c)
        for m in methods
        for c in ([RECONSTRUCTION, *matched[m]] if matched[m] else passes)
        if matched[m] or any((m, c) in image.made for image in images)
    ]
    heads = ["Input"]
    for m, c in pairs:
        near = "near " if c in matched[m] else ""
        heads.append(f"{method_title(m, facts.titles)}: {near}{_title(c)}")
    rows = [[Field(image.input), *(_view(image, m, c, views, c in matched[m]) for m, c in pairs)] for image in images]
    return heads, [image.name for image in images], rows, None


def _view(image: RunImage, method: str, pass_name: str, views: Views, matched: bool) -> Field:
    if not matched:
        return Field(image.made.get((method, pass_name)))
    found = views.get((image.name, method, pass_name))
    return Field(image.made[method, found.pass_name]) if found else Field(why="no yaw\nmeasured")


def _matched(views: Views, facts: Facts) -> list[str]:
    """What stands where edits were matched to views, by which measure."""
    found: dict[str, list[str]] = {}
    for (image, method, view), nearest in views.items():
        found.setdefault(method, []).append(f"{image}, {view}: {nearest.text}")
    return [
        f"{method_title(method, facts.titles)}, its edit nearest by yaw measured from landmarks: {'; '.join(texts)}."
        for method, texts in found.items()
    ]


def _flows(images: Sequence[RunImage], passes: Sequence[str], methods: Sequence[str], facts: Facts) -> _Layout:
    """Fig. 7: each edit's image and flow. Raises UsageError where no method of the run estimates one."""
    if not methods:
        raise UsageError("no method of this run estimates a flow", "name a run with warpres")
    (method,) = methods
    edits = [pass_name for pass_name in passes if pass_name != RECONSTRUCTION]
    heads = ["Input", *(head for pass_name in edits for head in (_title(pass_name), "Flow"))]
    longest = full_length(
        *(flow for image in images for (m, c), flow in image.flows.items() if m == method and c in edits)
    )
    rows = []
    for image in images:
        row = [Field(image.input)]
        for pass_name in edits:
            flow = Field(flow=image.flows.get((method, pass_name)), longest=longest)
            row += [Field(image.made.get((method, pass_name))), flow]
        rows.append(row)
    return heads, [image.name for image in images], rows, longest


def _title(pass_name: str) -> str:
    return "Inversion" if pass_name == RECONSTRUCTION else split_pass(pass_name).title


def _strengths(methods: Sequence[str], passes: Sequence[str], facts: Facts) -> list[str]:
    """Every method's strengths, as given: they are part of what an image shows."""
    found: dict[str, list[str]] = {}
    for method in methods:
        own = [
            (c, facts.strengths[method, c]) for c in passes if c != RECONSTRUCTION and (method, c) in facts.strengths
        ]
        if own:
            text = ", ".join(f"{pass_name} {strength:+g}" for pass_name, strength in own)
            found.setdefault(text, []).append(method_title(method, facts.titles))
    return [f"Strengths of {', '.join(names)}: {text}." for text, names in found.items()]
