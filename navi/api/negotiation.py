"""What a caller would like to get: Navi speaks JSON, and through the proxy whatever the vendor speaks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class AnyAccept(DefaultContentNegotiation):
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The first renderer, whatever is asked for: vendors' own clients ask for their own types."""
        first: Any = next(iter(renderers))
        return first, first.media_type
