"""Training options in an authors' checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any


def options_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Training options ("opts"), stored as a dict or an argparse.Namespace; empty when there are none."""
    options = content.get("opts") or {}
    if isinstance(options, argparse.Namespace):
        return dict(vars(options))
    # Some trainings keep their command line here, as text or as a list of words: no options by name.
    return dict(options) if isinstance(options, Mapping) else {}
