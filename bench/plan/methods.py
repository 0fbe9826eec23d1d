"""From a configuration's methods and edits to method specs: files found, columns planned, directions loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import MissingError, NotApplicableError, UsageError, unknown_name
from bench.plan.checkpoints import checkpoint_files, direction_files, entry_of, latent_rows
from bench.plan.config import Config
from bench.plan.sources import networks_of, rows_of_family
from bench.plan.work import NOT_APPLICABLE, UNUSABLE, MethodSpec, Missing
from methods.checkpoint_files import AbsentError

if TYPE_CHECKING:
    from bench.core.contract import Dataset, Domain, EditPass, Method
    from bench.edits.columns import Planned
    from bench.run.match_strength import Matched


def specs_of(
    config: Config, dataset: Dataset, device: str, missing: list[Missing]
) -> tuple[list[MethodSpec], dict[str, tuple[EditPass, ...]]]:
    """The methods that can run, and the columns of all of them."""
    from methods.fitting import Fit, fit_of
    from methods.registry import method_names

    for name in config.methods:
        if name not in config.variants and name not in method_names():
            raise unknown_name("method", name, sorted({*method_names(), *config.variants}))
    _check_strengths(config)
    for name in config.checkpoints:
        if name not in config.methods:
            raise unknown_name("method of --checkpoint", name, list(config.methods))
    specs, columns = [], {}
    unfit: dict[str, dict[str, NotApplicableError]] = {}
    edits: dict[str, tuple[str, ...]] = {}
    for name in config.methods:
        entry, variant = entry_of(config, name), config.variants.get(name)
        method = entry.name
        rows = entry.latent_rows or rows_of_family(config, dataset.domain)
        status, width = "missing", 0
        files: tuple[Path, ...] | None = None
        try:
            files = checkpoint_files(config, name, dataset.domain)
            rows = latent_rows(files, rows)
        except AbsentError as error:
            status = error.status
            missing.append(Missing("methods", name, error.what, error.next_step, status, error.files))
        try:
            fit = fit_of(entry, dataset.domain, files) if files is not None else Fit()
            rows, width = fit.latent_rows or rows, fit.width
        except (MissingError, UsageError) as error:
            status, files = UNUSABLE, None
            missing.append(Missing("methods", name, error.what, error.next_step, status))
        planned, unfit[name] = _planned(config, dataset, method, rows)
        columns[name] = tuple(edit for _, edit in planned)
        edits |= _columns_of(planned)
        passes, absent = _passes(config, dataset, method, rows, width, planned)
        if status == "not released":
            continue
        missing += [_need_of_edit(edit, name, why) for edit, why in absent.items()]
        if files is not None and not absent:
            title = variant.title if variant else ""
            specs.append(_spec(name, title, method, files, dataset.domain, device, passes, config.run.steps))
    missing += _unfit(config, unfit, edits)
    return specs, columns


def _check_strengths(config: Config) -> None:
    """Raise UsageError for a strength of an edit that no card has."""
    from bench.edits.cards import all_cards

    known = sorted({card.name for card in all_cards([Path(card) for card in config.edits.cards])})
    for name in config.edits.strengths:
        if name not in known:
            raise unknown_name("edit of edits.strengths", name, known)


def _need_of_edit(edit: str, method: str, why: MissingError) -> Missing:
    from bench.edits.directions import NoDirectionError

    status = "missing" if isinstance(why, NoDirectionError) or why.files else UNUSABLE
    return Missing("edits", edit, why.what, why.next_step, status, why.files, method)


def _columns_of(planned: Sequence[Planned]) -> dict[str, tuple[str, ...]]:
    """Edit -> its columns."""
    found: dict[str, tuple[str, ...]] = {}
    for card, edit in planned:
        if card is not None:
            found[card.name] = (*found.get(card.name, ()), edit.pass_name)
    return found


def _unfit(
    config: Config, unfit: Mapping[str, Mapping[str, NotApplicableError]], edits: Mapping[str, tuple[str, ...]]
) -> list[Missing]:
    """What does not apply to which method. Raises NotApplicableError for an edit that applies to none of them."""
    for edit in config.edits.names:
        errors = [found[edit] for found in unfit.values() if edit in found]
        if errors and len(errors) == len(config.methods):
            raise errors[0]
    return [
        Missing("edits", edit, error.what, "", NOT_APPLICABLE, (), method, edits.get(edit.rstrip("+-"), ()))
        for method, found in unfit.items()
        for edit, error in found.items()
    ]


def _spec(
    name: str,
    title: str,
    method: str,
    files: tuple[Path, ...],
    domain: Domain,
    device: str,
    passes: tuple[EditPass, ...],
    steps: int,
) -> MethodSpec:
    from bench.core.checkpoint import file_digest
    from methods.registry import find, load_method, method_digest, with_steps

    def load() -> Method:
        loaded = load_method(method, domain=domain, checkpoint=files, device=device, steps=steps)
        for edit in passes:
            rows = loaded.latent_rows if edit.direction is None else len(edit.direction.vector)
            if rows != loaded.latent_rows:
                raise UsageError(
                    f"the edit {edit.pass_name!r} is for codes of {rows} rows; {name}'s have {loaded.latent_rows}",
                    "choose the preset of this checkpoint's generator",
                )
        _check_width(name, loaded, passes, device)
        return loaded

    digests = tuple((file.name, file_digest(file)) for file in files)
    return MethodSpec(name, method_digest(with_steps(find(method), steps), files), passes, load, title, digests)


def _check_width(name: str, method: Method, passes: Sequence[EditPass], device: str) -> None:
    """Raise UsageError for a direction of another width than the codes of a method that only now tells its own."""
    from methods.fitting import width_of

    directions = {edit.pass_name: edit.direction for edit in passes if edit.direction is not None}
    wide = {name: one.vector.shape[-1] for name, one in directions.items() if one.rule in ("add", "set_coordinate")}
    width = width_of(method, device, loaded=True) if wide else 0
    for edit, own in wide.items():
        if width and own != width:
            raise UsageError(
                f"the edit {edit!r} is for codes {own} wide; those of {name} are {width} wide",
                "give a direction found for this method's generator",
            )


def with_matched_strengths(
    config: Config, dataset: Dataset, device: str, specs: list[MethodSpec], *, search: bool
) -> list[MethodSpec]:
    """The same methods with strengths of equal achieved change."""
    from bench.data import kind_of, open_dataset

    kind, networks = kind_of(config.data.name), networks_of(config, device)
    if networks is None or not kind.validation:
        raise UsageError(
            f"matched strengths need a network that measures attributes, and {kind.name} comes with none",
            "use --mode fixed or sweep",
        )
    if device != "cpu":
        raise UsageError(f"matched strengths are measured on the CPU, not on {device}", "add --device cpu")
    from bench.run.match_strength import IMAGES, matched_strengths

    people = open_dataset(kind.name, config.data.root, kind.validation)
    found = matched_strengths(
        specs,
        people,
        networks.attributes,
        config.run_folder(),
        group=config.run.group,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        search=search,
        measured_by=networks.digest,
    )
    # What is asked of everybody is what the first method does.
    targets = found.get(specs[0].name, {})
    asked = {
        edit.pass_name: observer.asked_strength(edit, people.images[:IMAGES], targets[edit.pass_name].change)
        for observer in (kind.observers_on(device) if targets else ())
        for edit in specs[0].passes
        if edit.pass_name in targets
    }
    return [
        replace(spec, passes=tuple(_matched(edit, found.get(spec.name, {}), asked) for edit in spec.passes))
        for spec in specs
    ]


def _matched(edit: EditPass, found: Mapping[str, Matched], asked: Mapping[str, float | None]) -> EditPass:
    if edit.pass_name not in found:
        return edit
    own = found[edit.pass_name]
    return replace(edit, strength=own.strength, asked=asked.get(edit.pass_name), range_share=own.range_share)


def _planned(
    config: Config, dataset: Dataset, method: str, rows: int
) -> tuple[list[Planned], dict[str, NotApplicableError]]:
    """A method's columns with their cards, and by edit why one does not apply to it."""
    from bench.data.listing import labels_of
    from bench.edits.columns import plan_columns
    from methods.registry import find

    edits, entry = config.edits, find(method)
    labels = labels_of(dataset.images) if dataset.counted else None

    def plan(names: Sequence[str]) -> list[Planned]:
        return plan_columns(
            names,
            generator=_generator(dataset, method, rows),
            method=method,
            # Matched strengths start from the cards' own and are found with the methods themselves.
            sweep=edits.mode == "sweep",
            strengths=edits.strengths or None,
            attributes=labels,
            cards=[Path(card) for card in edits.cards],
            edits=entry.edits,
        )

    unfit = {}
    for name in edits.names:
        try:
            plan([name])
        except NotApplicableError as error:
            unfit[name] = error
    return plan([name for name in edits.names if name not in unfit]), unfit


def _generator(dataset: Dataset, method: str, rows: int) -> str:
    from bench.edits.cards import generator_of
    from methods.registry import find

    return find(method).generator or generator_of(dataset.domain, rows)


def _passes(
    config: Config, dataset: Dataset, method: str, rows: int, width: int, planned: Sequence[Planned]
) -> tuple[tuple[EditPass, ...], dict[str, MissingError]]:
    """A method's passes as far as their directions are here, and by edit why one is not."""
    from bench.edits.directions import load_directions

    files, generator = direction_files(config), _generator(dataset, method, rows)
    passes, absent = load_directions(planned, files, generator=generator, latent_rows=rows, width=width, method=method)
    return tuple(passes), absent
