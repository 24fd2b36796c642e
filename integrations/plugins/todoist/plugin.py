"""Todoist: projects, tasks and comments, through API v1 (https://developer.todoist.com/api/v1)."""

from integrations.plugins.todoist import reading, sync, webhook, writing
from integrations.plugins.todoist.facts import SIGN_IN, plugin

# The plugin's facts are in facts.py; importing the others has given it what it can do.
__all__ = ["SIGN_IN", "plugin", "reading", "sync", "webhook", "writing"]
