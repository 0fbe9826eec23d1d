"""How methods, passes and edits are written for readers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RECONSTRUCTION = "reconstruction"
REFERENCE_TITLES = {
    "real": "Copy of input",
    "real-halves": "Real halves",
    "real-jpeg": "Real JPEG",
    "truth": "True edit",
}
# What the floors of a run measure; tables print it once below, with their number of images.
REFERENCE_NOTES = {
    "real": (
        "the input images themselves, not edited: what doing nothing scores. A dash: a set has no distance to itself, "
        "and an image that is not edited no flow"
    ),
    "truth": (
        "the true edit that was asked for, rendered: what a perfect method would score. A dash: it is not compared "
        "with itself"
    ),
    "real-halves": (
        "one random half of the pass's real images against the other. With fewer images a Fréchet distance is "
        "larger, and a reconstruction, made of the very images it is compared with, may lie below. A dash: halves "
        "have no image in common to compare"
    ),
    "real-jpeg": (
        "the pass's real images before JPEG against the same after it: what storing alone costs. A dash: not "
        "measured without an edit"
    ),
}
# Methods whose place nobody says stand behind those of the paper.
_LAST = 100
_PASS = re.compile(r"^(?P<edit>.+?)(?:(?P<sign>[+-])(?P<variant>\d+(?:\.\d+)?)?)?$")


@dataclass(frozen=True)
class PassName:
    """A pass taken apart: "smile+" is edit "smile" with sign "+"; a sweep's "smile+1.5" has the variant "1.5" too."""

    name: str
    edit: str
    sign: str
    variant: str

    @property
    def block(self) -> str:
        """Heading of the table block: "Reconstruction", "Smile", "Smile ±1.5"."""
        title = capitalised(self.edit.replace("_", " "))
        return f"{title} ±{self.variant}" if self.variant else title

    @property
    def title(self) -> str:
        """Reader's name of this one pass: "Reconstruction", "Smile +", "Pose −", "Smile +1.5"."""
        sign = self.sign.replace("-", "−")
        return capitalised(self.edit.replace("_", " ")) + (f" {sign}{self.variant}" if sign else "")


def split_pass(name: str) -> PassName:
    """Take the name of a pass apart; never fails, a plain name has no sign and no variant."""
    match = _PASS.match(name)
    if match is None:
        return PassName(name, name, "", "")
    return PassName(name, match["edit"], match["sign"] or "", match["variant"] or "")


def capitalised(text: str) -> str:
    """The text with its first letter in upper case; the others stay."""
    return text[:1].upper() + text[1:]


def listed(words: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def method_title(name: str, titles: Mapping[str, str]) -> str:
    """Printed name of a method or reference row: its title, or its name where it has none."""
    return titles.get(name) or REFERENCE_TITLES.get(name, name)


def is_reference(name: str, references: Mapping[str, str]) -> bool:
    """Whether a row is a floor or a yardstick and takes no part in the ranking."""
    return name in references or name in REFERENCE_TITLES


def in_reading_order(names: Iterable[str], places: Mapping[str, int]) -> list[str]:
    """Methods at the places that they say themselves (the paper's order), those of one place by name."""
    return sorted(set(names), key=lambda name: (places.get(name, _LAST), name))
