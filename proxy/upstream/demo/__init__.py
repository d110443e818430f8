"""A provider inside the proxy: it needs no key and no network, and it can misbehave on purpose."""

from __future__ import annotations

from proxy.upstream.demo.adapter import DemoAdapter

__all__ = ["DemoAdapter"]
