"""What is kept of accounts at vendors, their secrets, and how they came about."""

from credentials.models.asking import ConnectRequest
from credentials.models.connection import (
    USABLE,
    AuthKind,
    Connection,
    ConnectionQuerySet,
    Health,
    Secret,
    State,
)
from credentials.models.oauth import OAuthApp, OAuthAttempt
from credentials.models.vendors import Breaker, Budget

__all__ = [
    "USABLE", "AuthKind", "Breaker", "Budget", "ConnectRequest", "Connection", "ConnectionQuerySet", "Health",
    "OAuthApp", "OAuthAttempt", "Secret", "State",
]  # fmt: skip
