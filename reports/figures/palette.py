"""One colour and marker a method, the same in every figure, told apart also without colour vision and in grey print."""

from __future__ import annotations

from collections.abc import Iterable
from colorsys import hls_to_rgb
from dataclasses import dataclass

# Okabe and Ito's colours (Color Universal Design, 2008); the yellow is darkened to be seen on white.
_COLOURS = {
    "warpres": "#D55E00",
    "styleres": "#0072B2",
    "e4e": "#009E73",
    "psp": "#56B4E9",
    "restyle": "#E69F00",
    "hyperstyle": "#CC79A7",
    "hfgi": "#A89F00",
    "styletransformer": "#333333",
    "featurestyle": "#8C564B",
}
_MARKERS = {
    "warpres": "o",
    "styleres": "s",
    "e4e": "^",
    "psp": "v",
    "restyle": "D",
    "hyperstyle": "P",
    "hfgi": "X",
    "styletransformer": "<",
    "featurestyle": ">",
}
_SPARE = ("#882255", "#44AA99", "#999933", "#6A3D9A", "#117733", "#AA4499", "#774411", "#4477AA")
_SPARE_MARKERS = ("p", "h", "*", "d", "8", "H")
REFERENCE_COLOUR = "#777777"


@dataclass(frozen=True)
class Look:
    """Colour (#rrggbb) and matplotlib marker of a method."""

    colour: str
    marker: str


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """A look for each method. A combination has the marker of its base and the colour of its refiner.

    Methods that are not in the paper get spare colours in name order: a name keeps its look while the set is the same.
    """
    found: dict[str, Look] = {}
    spare = 0
    for name in sorted(set(methods)):
        parts = name.split("+")
        if parts[-1] in _COLOURS and parts[0] in _MARKERS:
            found[name] = Look(_COLOURS[parts[-1]], _MARKERS[parts[0]])
            continue
        found[name] = Look(_spare_colour(spare), _SPARE_MARKERS[spare % len(_SPARE_MARKERS)])
        spare += 1
    return found


def _spare_colour(number: int) -> str:
    """The listed ones first; then hues a golden section apart, in three lightnesses: none comes again."""
    if number < len(_SPARE):
        return _SPARE[number]
    further = number - len(_SPARE)
    red, green, blue = hls_to_rgb((0.61803398875 * further) % 1, (0.35, 0.5, 0.65)[further % 3], 0.6)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"
