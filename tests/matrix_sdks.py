"""How the matrix gets at an SDK, and what is the same for all of them."""

from __future__ import annotations

import importlib
import warnings
from contextlib import suppress
from typing import Any

import pytest

MODE = "X-Forward-Mode"
PATIENCE = 15  # seconds until a test that hangs has failed


def sdk(name: str) -> Any:
    """The module of an SDK; the test is skipped where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what an SDK imports and how is its own affair
        with suppress(ImportError):
            return importlib.import_module(name)
    return pytest.skip(f"the {name} SDK is not installed")
