"""What all connections of a provider, or all calls of an account, share: trouble and budget."""

from __future__ import annotations

from django.db import models


class Breaker(models.Model):
    """How a provider's token endpoint does: opens where refreshes fail in numbers (credentials/breaker.py)."""

    provider = models.CharField(primary_key=True, max_length=120)
    window_at = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    refusals = models.PositiveIntegerField(default=0, help_text="Of the failures: clean refusals of a grant.")
    opened_at = models.DateTimeField(null=True, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    believed_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then refusals are taken for dead grants, not for an outage."
    )
    confirmations = models.PositiveIntegerField(default=0)
    confirmations_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.provider}, {'open' if self.opened_at else 'closed'}"


class Budget(models.Model):
    """What one account at a vendor may still call, as its 429s taught (navi/net/pace.py, credentials/budget.py)."""

    id = models.BigAutoField(primary_key=True)
    provider = models.CharField(max_length=60)
    account = models.CharField(max_length=160)
    paused_until = models.DateTimeField()
    next_at = models.DateTimeField(help_text="When the next call may start.")
    limited_at = models.DateTimeField(help_text="The last 429.")
    calls = models.PositiveIntegerField(default=0, help_text="Learned: calls that pass …")
    seconds = models.FloatField(default=1.0, help_text="… in so many seconds.")
    apart = models.FloatField(default=0.0, help_text="Seconds between two calls, at least.")
    turns = models.PositiveIntegerField(default=0, help_text="Taken since the pause.")
    is_whole = models.BooleanField(default=False, help_text="The calls are those of all processes.")
    episode = models.PositiveIntegerField(default=0, help_text="Counts the 429s that came by surprise.")
    version = models.PositiveIntegerField(default=0, help_text="Counts the changes.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "account"], name="one_budget_per_account")]

    def __str__(self) -> str:
        return f"{self.provider}, {self.account}"
