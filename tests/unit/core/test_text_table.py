"""The one printer of aligned text: columns, what is cut, what is broken, and Markdown."""

from __future__ import annotations

from bench.core.text_table import WIDTH, aligned, cut, fitted, markdown_lines, padded, wrapped

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
    narrow = list(wrapped([("x" * 100, "word word word word word word")]))
    assert narrow == ["x" * 100 + "  word word word word word", " " * 102 + "word"]


def test_a_last_cell_is_cut_and_stands_below_where_there_is_no_room() -> None:
    long = "word " * 30
    assert list(cut([("a", "b"), ("x", long)], 30))[1] == "x  word word word word ..."
    assert list(cut([("a", "b"), ("x" * 10, long)], 30)) == ["a", "x" * 10, "    word word word word ..."]
    assert list(cut([("b",), (long,)], 30)) == ["b", "word word word word word ..."]
    assert fitted("word " * 10, 12) == "word ..."
    assert fitted("/a/long/path/to/file.pt", 12) == "...o/file.pt"


def test_markdown_has_its_numbers_on_the_right() -> None:
    assert markdown_lines([("a", "FD"), ("pSp", "1"), ("", "")]) == [
        "| a   | FD  |",
        "| --- | --: |",
        "| pSp | 1   |",
        "|     |     |",
    ]
