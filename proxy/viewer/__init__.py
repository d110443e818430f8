"""The traffic page: what the operator sees of the proxy in a browser, and what the page asks of the proxy."""

from __future__ import annotations

from typing import Dict, Tuple

from proxy.routes.visit import Page
from proxy.viewer.live import live
from proxy.viewer.page import file, file_of_form, home, page
from proxy.viewer.repeat import repeat
from proxy.viewer.view import view

__all__ = ["OPEN", "PAGES"]

OPEN: Dict[Tuple[str, str], Page] = {
    ("GET", "/_forward/static/login.css"): file_of_form,
    ("GET", "/_forward/static/icon.svg"): file_of_form,
}

PAGES: Dict[Tuple[str, str], Page] = {
    ("GET", "/_forward"): home,
    ("GET", "/_forward/"): page,
    ("GET", "/_forward/static/*"): file,
    ("GET", "/_forward/live"): live,
    ("GET", "/_forward/api/exchanges/*/view"): view,
    ("POST", "/_forward/api/exchanges/*/replay"): repeat,
}
