"""Linear: teams, projects, issues and comments, through its GraphQL API (https://linear.app/developers)."""

from integrations.plugins.linear import reading, sync, webhook, writing
from integrations.plugins.linear.facts import SIGN_IN, plugin

# The plugin's facts are in facts.py; importing the others has given it what it can do.
__all__ = ["SIGN_IN", "plugin", "reading", "sync", "webhook", "writing"]
