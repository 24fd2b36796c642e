"""The form by which people come in, and where they may go next."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

HOME = "/"


class SignInForm(AuthenticationForm):
    """Django's own. The address is made small, so that `ALICE@` does not count as another name for the lock."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "This email and password do not fit together.",
        "inactive": "This email and password do not fit together.",
    }

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"].widget.input_type = "email"
        self.fields["username"].label = "Email"

    def clean_username(self) -> str:
        return str(self.cleaned_data["username"]).strip().lower()


def next_address(request: HttpRequest) -> str:
    """Where the person wanted to go: an address of ours, or home."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if ours else HOME
