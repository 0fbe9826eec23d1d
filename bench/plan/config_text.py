"""A configuration as TOML that `--config` takes: what a command line comes to, to be kept and changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from bench.core.schema import plain
from bench.plan.config import Config

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def config_text(config: Config) -> str:
    """TOML of every value; what is None is left out, since it stands for what a preset has not."""
    return "\n".join(_lines(plain(config), ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    values = {key: value for key, value in table.items() if value is not None and not isinstance(value, Mapping)}
    if values and path:
        yield f"\n[{'.'.join(map(_key, path))}]"
    yield from (f"{_key(key)} = {_value(value)}" for key, value in values.items())
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON's escapes are TOML's; of what TOML wants escaped, JSON leaves this alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
