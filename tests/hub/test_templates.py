"""What holds for every template of the hub."""

import re
from pathlib import Path

import pytest
from django.conf import settings

TEMPLATES = sorted((Path(settings.BASE_DIR) / "templates").rglob("*.html"))
INCLUDE = re.compile(r'{%\s*include "([^"]+)"([^%]*)%}')


def has_form(path: Path) -> bool:
    """Does it, or what it includes without being told more, write a CSRF token?"""
    text = path.read_text()
    inner = [settings.BASE_DIR / "templates" / name for name, _ in INCLUDE.findall(text)]
    return "{% csrf_token %}" in text or any(has_form(one) for one in inner if one != path)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_included_form_is_given_the_csrf_token(path: Path):
    """`only` keeps it out: the form then works with htmx, and fails for everybody without."""
    forgotten = [
        name
        for name, options in INCLUDE.findall(path.read_text())
        if re.search(r"\bonly\s*$", options.strip())
        and "csrf_token=" not in options
        and has_form(settings.BASE_DIR / "templates" / name)
    ]

    assert forgotten == []
