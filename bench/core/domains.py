"""Domains as data: which there are, and what of a picture and its generator hangs on them (`domains.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bench.core.errors import UsageError, unknown_name
from bench.core.schema import from_table, read_toml

# The name of a domain: "faces", "cars" or a plug-in's.
Domain = str


@dataclass(frozen=True)
class DomainSpec:
    """One domain.

    Attributes:
        name: What `--domain`, data sets and methods call it.
        generator_size: Side of the released networks' square generator, in pixels.
        generators: Side -> name of the generator, as edit cards call it.
        aspect: (height, width) of a picture; where it is not square, it is the middle rows of the generator's image.
        input_width: Of what encoders take.
        datasets: Words in the names of data sets that authors' files say they were trained on.
        identity: Whether identity columns have a meaning.
        alignment: How a photograph is brought to the data's form: "ffhq", or "" for not at all.
        cut_rows: Directions of more, equal rows than the generator's are cut to its number.
        preset: The preset with the released networks; "" for none.
    """

    name: str
    generator_size: int
    generators: dict[int, str] = field(default_factory=dict)
    aspect: tuple[int, int] = (1, 1)
    input_width: int = 256
    datasets: tuple[str, ...] = ()
    identity: bool = False
    alignment: str = ""
    cut_rows: bool = False
    preset: str = ""

    def size(self, width: int) -> tuple[int, int]:
        """(height, width) of a picture of that width."""
        height, of = self.aspect
        return width * height // of, width

    def generator(self, size: int) -> str:
        """Name of the generator of a side, as edit cards call it ("ffhq-1024")."""
        return self.generators.get(size, f"{self.name}-{size}")


@cache
def domains() -> dict[str, DomainSpec]:
    """All domains by name: the table's, then those of plug-ins."""
    table = read_toml(Path(__file__).with_suffix(".toml"))
    return {name: from_table(DomainSpec, {"name": name, **own}, f"domains.toml: {name}") for name, own in table.items()}


def find_domain(name: Domain) -> DomainSpec:
    """The domain called `name`. Raises UsageError with close names."""
    if name not in domains():
        raise unknown_name("domain", name, list(domains()))
    return domains()[name]


def register_domain(spec: DomainSpec) -> None:
    """Add a domain in this process (a plug-in's DOMAINS). Raises UsageError where the name means another."""
    if domains().setdefault(spec.name, spec) != spec:
        raise UsageError(f"the domain {spec.name!r} is there already and is another", "give it another name")


def rows_of(size: int) -> int:
    """L, rows of the W+ codes of a StyleGAN2 generator of a side: 2 log2(size) - 2 (stylegan2 card, section 1)."""
    return 2 * (size.bit_length() - 1) - 2
