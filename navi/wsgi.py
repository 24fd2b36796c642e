"""What gunicorn serves: hub, API, hooks and admin."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")

LARGEST, LARGEST_HOOK = 2 * 2**20, 5 * 2**20
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def with_length(application: Application) -> Application:
    """Give chunked request bodies a length: Django's WSGI handler would read them as empty."""

    def served(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked" and not environ.get(
            "CONTENT_LENGTH"
        ):
            is_hook = environ.get("PATH_INFO", "").startswith("/hooks/")
            body = environ["wsgi.input"].read((LARGEST_HOOK if is_hook else LARGEST) + 1)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
        return application(environ, start_response)

    return served


application = with_length(get_wsgi_application())
