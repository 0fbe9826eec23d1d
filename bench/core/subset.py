"""Subsets of a data set, as cards and manifests write them: "all", or a label and its value ("Smiling=-1")."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.errors import UsageError

ALL = "all"


def label_of(expression: str) -> str:
    """The label that a subset asks for; "" for all images."""
    return "" if expression == ALL else expression.partition("=")[0]


def belongs(labels: Mapping[str, int], expression: str) -> bool:
    """Whether an image with these labels (-1 or 1) is of the subset. Raises UsageError where it lacks the label."""
    if expression == ALL:
        return True
    label, _, value = expression.partition("=")
    if label not in labels:
        raise UsageError(
            f"the subset {expression!r} needs the label {label!r}, which this data set lacks", "leave the edit out"
        )
    return labels[label] == int(value)
