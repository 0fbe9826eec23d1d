"""Names that stand for several methods or edits: `all`, `ready` and patterns; and where a method is ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, UsageError, unknown_name
from bench.core.names import in_any_case
from bench.plan.checkpoints import checkpoint_files, direction_files, entry_of
from bench.plan.config import Config, load_config, preset_names
from bench.plan.plugins import load_plugins
from bench.plan.sources import family_of, rows_of_family
from bench.weights.registry import short_name
from methods.checkpoint_files import AbsentError, has_world_weights

if TYPE_CHECKING:
    from bench.core.contract import Domain
    from methods.registry import MethodEntry

ALL, READY = "all", "ready"


@dataclass(frozen=True)
class Place:
    """A preset on which a method could run.

    Attributes:
        preset: Its name.
        ready: Whether the method's files are here (data and evaluators are another matter).
        next_step: Else what gets them.
    """

    preset: str
    ready: bool
    next_step: str = ""


def places_of(entry: MethodEntry) -> list[Place]:
    """The presets whose data suit a method and whose family of weights has it, or could."""
    found = []
    for preset in preset_names():
        config = load_config(preset)
        if domain_of(config) not in entry.domains or not suits(config, entry):
            continue
        error = _absence(config, entry.name)
        if error is None:
            found.append(Place(preset, True))
        elif _exists(config, entry.name, error):
            found.append(Place(preset, False, error.next_step))
    return found


def suits(config: Config, entry: MethodEntry) -> bool:
    """Whether the preset's data have what a method needs: a 3D one needs the camera of every image."""
    from bench.data import kind_of

    return "camera" not in entry.edits or kind_of(config.data.name).cameras


def spelled_out(config: Config) -> Config:
    """The configuration with `all`, `ready` and patterns (*, ?, []) among its methods and edits replaced by names.

    Names in another case are brought to their own, in the keys of checkpoints and strengths as well.

    `all` methods are those of the preset and the registry whose weights exist for its family and domain, each network
    once, without those that optimise every image for itself; `ready` ones have their files here. Edits are those of the
    family's generator; ready ones have their direction files here.

    Raises:
        UsageError: A pattern that fits nothing, `ready` where nothing is.
    """
    from metrics.protocol import protocol_names

    load_plugins(config.plugins)
    known = _methods(config)
    methods = _replaced(
        config.methods, "method", known, lambda names: [name for name in names if _absence(config, name) is None]
    )
    checkpoints = {in_any_case(name, known.names): files for name, files in config.checkpoints.items()}
    protocols = tuple(in_any_case(name, protocol_names()) for name in config.protocols)
    config = replace(config, methods=methods, checkpoints=checkpoints, protocols=protocols)
    known = _edits(config)
    edits = _replaced(config.edits.names, "edit", known, lambda names: _ready_edits(config, names))
    strengths = {in_any_case(name, known.names): own for name, own in config.edits.strengths.items()}
    return replace(config, edits=replace(config.edits, names=edits, strengths=strengths))


def stands_for_several(name: str) -> bool:
    """Whether a name is `all`, `ready` or a pattern."""
    return name in (ALL, READY) or any(mark in name for mark in "*?[")


@dataclass(frozen=True)
class _Known:
    """All names, and what gives those that `all` means; `parts` are names of parts of them, not for patterns."""

    names: Sequence[str]
    all: Callable[[], Sequence[str]]
    parts: Sequence[str] = ()


def _replaced(
    asked: Iterable[str], what: str, known: _Known, ready: Callable[[Sequence[str]], list[str]]
) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in asked:
        found |= dict.fromkeys(_one(name, what, known, ready))
    return tuple(found)


def _one(name: str, what: str, known: _Known, ready: Callable[[Sequence[str]], list[str]]) -> Sequence[str]:
    if not stands_for_several(name):
        return [in_any_case(name, (*known.names, *known.parts))]
    if name == ALL:
        return known.all()
    if name == READY:
        if not (here := ready(known.all())):
            raise UsageError(f"no {what} is ready here", f"run_bench.py ls {what}s says what gets each")
        return here
    if not (fitting := [candidate for candidate in known.names if fnmatchcase(candidate, name)]):
        raise unknown_name(what, name, list(known.names))
    return fitting


def domain_of(config: Config) -> Domain:
    """The domain of a configuration's data."""
    from bench.data import kind_of

    return kind_of(config.data.name).domain


def _methods(config: Config) -> _Known:
    from methods.registry import entries

    domain = domain_of(config)
    registered = [entry for entry in entries().values() if domain in entry.domains]
    own = [name for name in load_config(config.preset).methods if name in config.variants or name in entries()]
    names = list(dict.fromkeys([*own, *config.variants, *sorted(entry.name for entry in registered)]))
    return _Known(names, lambda: [n for n in names if _is_one_of_all(config, n) and _could_run(config, n)])


def _is_one_of_all(config: Config, name: str) -> bool:
    """Not the same networks once more, nothing that takes minutes an image, nothing over a generator of its own."""
    entry = entry_of(config, name)
    return not (short_name(name) != name or entry.optimises or entry.generator)


def _could_run(config: Config, name: str) -> bool:
    error = _absence(config, name)
    return error is None or _exists(config, name, error)


def _absence(config: Config, name: str) -> AbsentError | None:
    """Why a method's files are not here; None where they are."""
    try:
        checkpoint_files(config, name, domain_of(config))
    except AbsentError as error:
        return error
    return None


def _exists(config: Config, name: str, error: AbsentError) -> bool:
    """Whether weights that are not here can be had at all."""
    return error.status != "not released" if family_of(config) is None else has_world_weights(name)


def _generator(config: Config) -> str:
    from bench.edits.cards import generator_of

    domain = domain_of(config)
    return generator_of(domain, rows_of_family(config, domain))


def _edits(config: Config) -> _Known:
    from bench.edits.cards import all_cards

    generator = _generator(config)
    cards = all_cards([Path(card) for card in config.edits.cards])
    own = [card for card in cards if card.generator == generator]
    names = [card.name for card in own]
    return _Known(names, lambda: names, [column.name for card in own for column in card.columns])


def _ready_edits(config: Config, names: Sequence[str]) -> list[str]:
    from bench.edits.cards import find_card

    generator, files = _generator(config), direction_files(config)
    found = []
    for name in names:
        card = find_card(name, generator, [Path(card) for card in config.edits.cards])
        try:
            if card.file:
                files(card.file)
        except BenchError:
            continue
        found.append(name)
    return found
