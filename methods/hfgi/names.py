"""Official names of HFGI's checkpoint: four networks, each below its own prefix (hfgi card, section 3).

Below the prefixes the names are the modules' own.
"""

from __future__ import annotations

ENCODER = "encoder."
DECODER = "decoder."
ALIGNMENT = "grid_align."
CONSULTATION = "residue."
