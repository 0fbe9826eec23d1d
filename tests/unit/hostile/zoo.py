"""All hostile files, by name."""

from __future__ import annotations

from tests.unit.hostile import archives, arrays, no_files, pickles, pictures, texts
from tests.unit.hostile.making import ZOO

__all__ = ["ZOO", "archives", "arrays", "no_files", "pickles", "pictures", "texts"]
