"""Whose key is this? Forms by which vendors' credentials are known (reference: vendors' own documents)."""

from __future__ import annotations

import re

# (pattern, what it is, the provider's slug)
KNOWN: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), words, slug)
    for pattern, words, slug in (
        (r"lin_api_\w+", "a Linear API key", "linear"),
        (r"lin_oauth_\w+", "a Linear OAuth token", "linear"),
        (r"(ntn|secret)_\w{20,}", "a Notion secret", "notion"),
        (r"(xoxe\.)?xoxb-[\w-]+", "a Slack bot token", "slack"),
        (r"(xoxe\.)?xoxp-[\w-]+", "a Slack user token", "slack"),
        (r"xapp-[\w-]+", "a Slack app-level token", "slack"),
        (r"(ghp|github_pat|gho|ghu|ghs|ghr)_\w{20,}", "a GitHub token", "github"),
        (r"glpat-[\w.-]+", "a GitLab token", "gitlab"),
        (r"ya29\.[\w.-]+", "a Google access token", "google"),
        (r"GOCSPX-[\w-]+", "a Google client secret", "google"),
        (r"ATATT3x\S+", "an Atlassian API token", "jira"),
        (r"sk-ant-\S+", "an Anthropic API key", "anthropic"),
        (r"sk-(proj-|svcacct-)?[\w-]{20,}", "an OpenAI API key", "openai"),
        (r"[sr]k_(live|test)_\w+", "a Stripe key", "stripe"),
        (r"whsec_\S+", "a webhook secret", ""),
        (r"SG\.[\w-]{22}\.[\w-]{43}", "a SendGrid API key", "sendgrid"),
        (r"figd_\S+", "a Figma token", "figma"),
        (r"sntry[usai]_\S+", "a Sentry token", "sentry"),
        (r"navi_at_\w+", "a Navi agent token", ""),
    )
)


def foreign_key(value: str, provider: str) -> str | None:
    """What this value is known as, if it belongs to another vendor than `provider`; else None."""
    for pattern, words, slug in KNOWN:
        if pattern.fullmatch(value):
            return None if slug == provider else words
    return None


# What such credentials begin with, for a check while somebody types: (beginning, what it is, the provider's slug)
BEGINNINGS: tuple[tuple[str, str, str], ...] = (
    ("lin_api_", "Linear API key", "linear"),
    ("lin_oauth_", "Linear OAuth token", "linear"),
    ("ntn_", "Notion secret", "notion"),
    ("xoxb-", "Slack bot token", "slack"),
    ("xoxp-", "Slack user token", "slack"),
    ("xapp-", "Slack app-level token", "slack"),
    ("ghp_", "GitHub token", "github"),
    ("gho_", "GitHub token", "github"),
    ("github_pat_", "GitHub token", "github"),
    ("glpat-", "GitLab token", "gitlab"),
    ("ya29.", "Google access token", "google"),
    ("GOCSPX-", "Google client secret", "google"),
    ("ATATT3x", "Atlassian API token", "jira"),
    ("sk-ant-", "Anthropic API key", "anthropic"),
    ("sk_live_", "Stripe key", "stripe"),
    ("sk_test_", "Stripe key", "stripe"),
    ("whsec_", "webhook secret", ""),
    ("figd_", "Figma token", "figma"),
    ("navi_at_", "Navi agent token", ""),
)


def foreign_beginnings(provider: str) -> dict[str, str]:
    """How credentials of others than this provider begin, and what each is."""
    return {beginning: words for beginning, words, slug in BEGINNINGS if slug != provider}
