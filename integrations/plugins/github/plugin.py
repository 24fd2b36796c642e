"""GitHub: repositories, issues and pull requests, through its REST API and its webhooks.

`facts` says what GitHub is, `shapes` what agents see, `actions` what they can do; `sync` keeps chosen
repositories' issues, `webhook` hears what happens there.
"""

from integrations.plugins.github import actions, sync, webhook
from integrations.plugins.github.facts import plugin

__all__ = ["actions", "plugin", "sync", "webhook"]
