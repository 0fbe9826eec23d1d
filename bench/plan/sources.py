"""Where a configuration's images come from, and the networks that come with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.domains import Domain, find_domain, rows_of
from bench.core.errors import MissingError
from bench.plan.config import Config
from bench.plan.work import Missing
from methods.checkpoint_files import RELEASED, family

if TYPE_CHECKING:
    from bench.core.contract import Dataset
    from bench.core.observer import Networks
    from bench.data.listing import Kind


def open_data(config: Config) -> Dataset:
    """The data set of a configuration."""
    from bench.data import open_dataset

    data = config.data
    face = data.face if data.align or data.face else None
    return open_dataset(data.name, data.root, data.split, data.limit, face)


def planned_data(config: Config, missing: list[Missing]) -> Dataset:
    """The data set, or where it is not (all) here what is missing and what can be told of it."""
    try:
        return open_data(config)
    except MissingError as error:
        from bench.data import expect_dataset, kind_of

        data = config.data
        source = f"{error.next_step}; {kind_of(data.name).source}" if not data.root else error.next_step
        missing.append(Missing("data", data.name, error.what, source))
        return expect_dataset(data.name, data.root, data.split, data.limit)


def terms_of(config: Config) -> list[str]:
    """Terms of what prepares the images, a sentence each."""
    if not config.data.align and not config.data.face:
        return []
    from bench.data.align.faces import TERMS

    return [TERMS]


def unused_files(config: Config) -> str:
    """What of a folder of somebody's own images is not used, counted and named; "" for other kinds of data."""
    from bench.data import kind_of, list_images
    from bench.data.scan import unused

    kind, data = kind_of(config.data.name), config.data
    if not (kind.own and data.root and Path(data.root).is_dir()):
        return ""
    used = [entry.path for entry in list_images(kind.name, data.root, data.split).entries if entry.path]
    return f"{data.root}: {found}" if (found := unused(Path(data.root), used)) else ""


def family_of(config: Config) -> Kind | None:
    """The kind of data set whose own weights methods take by default; None for the released ones."""
    return None if config.weights == RELEASED else family(config.weights)


def rows_of_family(config: Config, domain: Domain) -> int:
    """Rows of the W+ codes of the generator that the checkpoints of the configuration's family share."""
    kind = family_of(config)
    return rows_of(find_domain(domain).generator_size if kind is None else kind.generator_size)


def networks_of(config: Config, device: str) -> Networks | None:
    """The networks that come with the configuration's kind of data set."""
    from bench.data import kind_of

    kind = kind_of(config.data.name)
    return None if kind.networks is None else kind.networks(device)
