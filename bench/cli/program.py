"""What the user typed to start this program, so that advice can be typed the same way."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SCRIPT = "run_bench.py"
# Advice is written as it is typed in a checkout.
_WRITTEN = re.compile(r"(?:python )?\brun_bench\.py\b")


def program() -> str:
    """ "run_bench.py", "python -m bench", or the installed command's name."""
    started = Path(sys.argv[0] if sys.argv else "")
    if started.stem == "warpres-bench":
        return started.stem
    return "python -m bench" if started.parts[-2:] == ("bench", "__main__.py") else SCRIPT


def as_typed(text: str) -> str:
    """Text for people, the program in it called as it was started."""
    own = program()
    return text if own == SCRIPT else _WRITTEN.sub(own, text)
