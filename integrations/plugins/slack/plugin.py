"""Slack: channels, messages and people, through its Web API and its events.

`facts` says what Slack is, `shapes` what agents see, `actions` what they can do; `sync` keeps the messages of
chosen channels, `webhook` hears what is said there.
"""

from integrations.plugins.slack import actions, sync, webhook
from integrations.plugins.slack.facts import plugin

__all__ = ["actions", "plugin", "sync", "webhook"]
