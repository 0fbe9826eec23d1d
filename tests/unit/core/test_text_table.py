"""The one printer of aligned text: columns, what is cut, what is broken, and Markdown."""

from __future__ import annotations

from bench.core.text_table import WIDTH, aligned, markdown_lines, padded, wrapped

ROWS = [("name", "size", ""), ("e4e", "1.2 GB", "x"), ("", "", ""), ("a\nb", "1e5", "True")]


def test_cells_are_texts_on_one_line_and_as_wide_as_their_column() -> None:
    assert padded(ROWS, right=(1,)) == [
        ["name", "  size", "    "],
        ["e4e ", "1.2 GB", "x   "],
        ["    ", "      ", "    "],
        ["a b ", "   1e5", "True"],
    ]
    assert padded([]) == [] and padded([(), ()]) == [[], []]


def test_no_line_ends_in_a_blank() -> None:
    assert aligned(ROWS, right=(1,)) == ["name    size", "e4e   1.2 GB  x", "", "a b      1e5  True"]


def test_a_letter_is_one_column() -> None:
    assert aligned([("日本", "x"), ("e4e", "x")]) == ["日本   x", "e4e  x"]


def test_a_last_cell_goes_on_below_itself() -> None:
    lines = list(wrapped([("note", "word " * 30), ("none", "")], indent="  "))
    assert lines[0].startswith("  note  word word") and max(map(len, lines)) <= WIDTH
    assert lines[1].startswith(" " * 8 + "word") and lines[-1] == "  none"


def test_a_last_cell_stands_below_its_row_where_there_is_no_room_beside_it() -> None:
    rows = [("a", "b"), ("x" * 10, "word " * 7), ("y", "")]
    below = ["a", "    b", "x" * 10, "    word word word word word", "    word word", "y"]
    assert list(wrapped(rows, width=30)) == below
    assert list(wrapped([("b",), ("word " * 7,)], width=30)) == ["b", "word word word word word word", "word"]


def test_a_word_longer_than_a_line_stays_whole() -> None:
    path = "/a/long/path/to/file.pt" * 3
    assert list(wrapped([("a", "b"), ("x", f"word {path} word")], width=30)) == [
        "a  b", "x  word", f"   {path}", "   word"
    ]  # fmt: skip


def test_markdown_has_its_numbers_on_the_right() -> None:
    assert markdown_lines([("a", "FD"), ("pSp", "1"), ("", "")]) == [
        "| a   | FD  |",
        "| --- | --: |",
        "| pSp | 1   |",
        "|     |     |",
    ]
