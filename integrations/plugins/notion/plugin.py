"""Notion: pages, data sources and comments, through its API and its webhooks.

`facts` says what Notion is, `shapes` what agents see, `blocks` turns text into Notion's blocks, `actions` is
what agents can do; `sync` keeps pages, `webhook` hears of changes.
"""

from integrations.plugins.notion import actions, sync, webhook
from integrations.plugins.notion.facts import plugin

__all__ = ["actions", "plugin", "sync", "webhook"]
