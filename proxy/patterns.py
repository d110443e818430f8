"""Patterns as they are written here, in filters and in --model_map: ``*`` stands for anything, all else for itself."""

from __future__ import annotations


def fits(pattern: str, name: str) -> bool:
    """Whether a name is of that pattern.

    Each part is looked for once, from left to right: a regular expression would try every place of every ``*``.
    """
    first, *others = pattern.split("*")
    if not others:
        return name == pattern
    *middle, last = others
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return False
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
