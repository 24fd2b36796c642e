#!/usr/bin/env python3
"""Django's command line, with Navi's one sentence for a bad configuration."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "navi.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as problem:
        sys.exit(f"Navi cannot start: {problem}")


if __name__ == "__main__":
    main()
