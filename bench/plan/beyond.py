"""What a preset leaves out: further methods of its domain and family, with state, licence and what they lack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.plan.checkpoints import AbsentError, checkpoint_files
from bench.plan.config import Config
from bench.plan.names import domain_of, places_of, suits
from bench.plan.sources import family_of
from bench.plan.work import NOT_APPLICABLE
from bench.weights import registry

if TYPE_CHECKING:
    from bench.core.contract import Domain
    from methods.registry import MethodEntry


@dataclass(frozen=True)
class Further:
    """A method that was not asked for.

    Attributes:
        name: Registry name.
        state: "ready", "missing", or "n/a" where the preset's data do not suit it.
        licence: Of its files, in words; "" where none is stated.
        lacks: Registry names of files that are not here, or what it needs instead of this preset.
    """

    name: str
    state: str
    licence: str
    lacks: tuple[str, ...] = ()


def further_methods(config: Config) -> list[Further]:
    """Methods with weights for the preset's family that its data suit and that it does not name, by name."""
    from methods.registry import entries

    domain, found = domain_of(config), []
    for name, entry in sorted(entries().items()):
        if {name, registry.short_name(name)} & {*config.methods} or domain not in entry.domains:
            continue
        if not suits(config, entry):
            instead = tuple(f"--preset {place.preset}" for place in places_of(entry))
            found.append(Further(name, NOT_APPLICABLE, licence_of(entry, domain), instead))
            continue
        state, lacks = "ready", tuple[str, ...]()
        try:
            checkpoint_files(config, name, domain)
        except AbsentError as error:
            if error.status == "not released" or not error.files:
                continue
            state, lacks = "missing", tuple(error.files)
        ours = family_of(config) is not None and state == "ready"
        found.append(Further(name, state, registry.OUR_LICENCE if ours else licence_of(entry, domain), lacks))
    return found


def licence_of(entry: MethodEntry, domain: Domain) -> str:
    """The licences of a method's files, each once."""
    if domain in entry.released:
        items = [registry.entry(name) for name in entry.released[domain]]
    else:
        items = registry.checkpoint_entries(entry.name, domain)
    return "; ".join(dict.fromkeys(item.licence for item in items if item.licence))
