"""Everything a run's folder shows, from its numbers and images: tables, plots, grids and the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.differences import difference_tables
from reports.facts import gather_facts
from reports.files import write_all
from reports.inputs import Facts, Pass, Summaries
from reports.published.rows import paper_tables
from reports.results_file.record import NAME as RESULTS
from reports.results_file.record import results_record, results_text
from reports.standing import Standing
from reports.table import Table
from reports.tables import build_tables, pass_order, protocols
from reports.writers import csv as csv_writer
from reports.writers import md as markdown
from reports.writers import tex as latex

if TYPE_CHECKING:
    from bench.results.paired import Pairs
    from bench.results.wholeness import Results
    from reports.figures.grids import Grid
    from reports.figures.paper import Rule
    from reports.figures.run_images import RunImage
    from reports.timing_table import Timings

_IMAGES, _MOST_IMAGES = 8, 1000


def write_reports(
    results: Results, summaries: Summaries, passes: Sequence[Pass], pairs: Pairs | None = None
) -> list[Path]:
    """Write results.json, tables/, plots/, grids/ and index.html of a run; each file whole or not at all.

    The tables depend on the summaries, the passes and the manifest alone, byte for byte; runtimes (`timing.json`) are
    shown on the page and in `tables/timed/` only. Files of an earlier report that are no longer made are removed.
    `pairs` are the run's values image by image, by which methods are told apart.

    Returns:
        Paths of all files written, the page last.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
        ValueError: A column of a summary names no protocol.
    """
    from reports.checked import check_rows
    from reports.failures import collect
    from reports.figures.plots import draw_all
    from reports.figures.run_images import read_images
    from reports.page.distributions import spreads
    from reports.page.render import Content, render
    from reports.timing_table import read_timings

    run, manifest, rows = results.run, results.manifest, results.rows
    facts = gather_facts(manifest)
    timings = read_timings(run)
    tables, paper = build_tables(summaries, passes, facts, pairs=pairs), paper_tables(summaries, facts, pairs)
    full = build_tables(summaries, passes, facts, every=True, pairs=pairs)
    standing = Standing(facts, pairs)
    compared = difference_tables(tables, standing)
    files = dict(_table_files([*tables, *full, *paper, *compared], summaries, passes, facts))
    files.update(_timed_files(summaries, facts, timings, pairs))
    if record := results_record(manifest, summaries, rows, facts):
        files[RESULTS] = results_text(record).encode()
    checks = check_rows(results, passes, facts, timings.seconds if timings else None)
    files.update(file for check in checks for file in check.files())
    images, order = read_images(run, _IMAGES, manifest), pass_order(summaries, passes)
    # Encoding images lets other threads run, so figures are drawn meanwhile.
    with ThreadPoolExecutor(1) as beside:
        gridded = beside.submit(_grids, images, order, facts)
        drawings = draw_all(summaries, passes, facts)
        grids, sheets, explorer = gridded.result()
    for drawing in drawings:
        files[f"plots/{drawing.name}.png"], files[f"plots/{drawing.name}.pdf"] = drawing.png, drawing.pdf
    files.update((f"grids/{grid.name}.png", grid.png) for grid in grids)
    if facts.paper_figure is not None and images:
        figure = paper_figure(run, facts.paper_figure, facts, count=_IMAGES)
        grids, files[f"figures/{figure.name}.png"] = [figure, *grids], figure.png
    content = Content(
        tables=[*paper, *tables, *compared, *full],
        drawings=drawings,
        grids=grids,
        explorer=explorer,
        sheets=sheets,
        checked=checks,
        failures=collect(rows),
        timings=timings,
        facts=facts,
        manifest=manifest,
        files=list(files),
        spreads={table.slug: spreads(table, standing) for table in tables},
    )
    files["index.html"] = render(content).encode()
    return write_all(run, files)


def paper_figure(
    run: Path,
    number: int,
    facts: Facts,
    count: int = 6,
    rule: Rule = "first",
    images: Sequence[str] = (),
    methods: Sequence[str] = (),
) -> Grid:
    """One of the paper's image figures from the images a run kept; see `figures.paper`. Raises UsageError."""
    from reports.figures.costs import cost_lines
    from reports.figures.paper import draw_figure, select_images
    from reports.figures.run_images import read_images

    kept = read_images(run, _MOST_IMAGES)
    selection = select_images(kept, count, rule, images)
    passes = list(dict.fromkeys(pass_name for _, pass_name in facts.strengths))
    return draw_figure(number, kept, passes, facts, selection, methods=methods, costs=cost_lines(run))


def _grids(
    images: Sequence[RunImage], order: Sequence[str], facts: Facts
) -> tuple[list[Grid], dict[str, str], dict[str, Any] | None]:
    """The grids, their form for the page by name, and what the explorer shows."""
    from reports.figures.grids import draw_grids
    from reports.figures.run_images import passes_of
    from reports.page.explorer import explorer_data
    from reports.page.render import sheet

    grids = draw_grids(images, order, facts)
    return grids, {grid.name: sheet(grid) for grid in grids}, explorer_data(images, passes_of(images, order), facts)


def _table_files(
    tables: Iterable[Table], summaries: Summaries, passes: Sequence[Pass], facts: Facts
) -> Iterator[tuple[str, bytes]]:
    for table in tables:
        yield from _three_forms(f"tables/{table.slug}", table)
    for protocol in protocols(summaries, facts):
        yield f"tables/long@{protocol}.csv", csv_writer.long(summaries, passes, facts, protocol).encode()
        if facts.paper_table is not None:
            from reports.published.rows import difference_csv

            if text := difference_csv(facts.paper_table, summaries, facts, protocol):
                yield f"tables/table{facts.paper_table}@{protocol}.difference.csv", text.encode()


def _three_forms(name: str, table: Table) -> Iterator[tuple[str, bytes]]:
    yield f"{name}.csv", csv_writer.wide(table).encode()
    yield f"{name}.md", markdown.markdown(table).encode()
    yield f"{name}.tex", latex.latex(table).encode()


def _timed_files(
    summaries: Summaries, facts: Facts, timings: Timings | None, pairs: Pairs | None
) -> Iterator[tuple[str, bytes]]:
    """Table 2 with the paper's runtime column, apart from the score tables since a clock changes from run to run."""
    if facts.paper_table != 2 or timings is None:
        return
    from reports.published.rows import paper_table, published_runtimes

    clocks = {name: timing.clock() for name, timing in timings.methods.items()}
    for name, seconds in published_runtimes(summaries, facts).items():
        clocks.setdefault(name, {})["runtime_published"] = seconds
    for protocol in protocols(summaries, facts):
        table = paper_table(2, summaries, facts, protocol, runtimes=clocks, pairs=pairs)
        yield from _three_forms(f"tables/timed/{table.slug}", table)
