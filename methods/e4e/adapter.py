"""e4e: deltas over one shared w (e4e card). The network is pSp's with the other wiring."""

from __future__ import annotations

from methods.psp.adapter import build
from methods.registry import STYLE_RULES, MethodEntry

METHODS = (
    MethodEntry(
        name="e4e",
        build=build,
        domains=("faces", "cars"),
        files=("e4e_ffhq_encode.pt or e4e_cars_encode.pt",),
        edits=STYLE_RULES,
        title="e4e",
        place=20,
        summary="e4e (Tov et al. 2021): W+ deltas over one shared w, for editing",
        golden=("e4e_ffhq", "e4e_cars"),
    ),
)
