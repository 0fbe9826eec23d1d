"""Names of files and folders made of other names: no two are alike."""

from __future__ import annotations

import pytest

from bench.core.errors import UsageError
from bench.core.names import kept_as, known_name, numbered


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a-2", "a-3"]),
        # What a number is put to may be another's name, before or after it.
        (["a", "a", "a-2"], ["a", "a-3", "a-2"]),
        (["a-2", "a", "a"], ["a-2", "a", "a-3"]),
        (["a", "a", "a-2", "a-2"], ["a", "a-3", "a-2", "a-2-2"]),
    ],
)
def test_names_are_told_apart_by_numbers(names: list[str], found: list[str]) -> None:
    assert numbered(names) == found and len({*found}) == len(names)


def test_a_known_name_is_found_in_any_case() -> None:
    assert known_name("method", "WarpRes", {"warpres": 1, "e4e": 2}) == "warpres"
    with pytest.raises(UsageError, match="unknown method 'warprs'") as error:
        known_name("method", "warprs", ["warpres"])
    assert "did you mean warpres?" in error.value.next_step


def test_an_image_is_kept_under_its_name_without_folders() -> None:
    assert [kept_as(name) for name in ("2.jpg", "anna/2.jpg", "a.b.png")] == ["2", "anna_2", "a.b"]
