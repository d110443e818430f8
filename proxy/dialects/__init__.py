"""How each vendor spells a conversation: one file a dialect, one table. No I/O, no clock, no randomness."""

from __future__ import annotations

from typing import Dict

from proxy.dialects.completions import COMPLETIONS
from proxy.dialects.dialect import Dialect, Mender, Stamp
from proxy.dialects.openai import OPENAI

__all__ = ["DIALECTS", "Dialect", "Mender", "Stamp"]

DIALECTS: Dict[str, Dialect] = {dialect.name: dialect for dialect in (OPENAI, COMPLETIONS)}
