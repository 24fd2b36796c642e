"""What people type, put in order or refused in words."""

from __future__ import annotations

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from navi.projects import roles
from navi.projects.errors import Conflict, InvalidInput
from navi.projects.models import User


def checked_name(name: str, *, most: int, may_be_empty: bool = False) -> str:
    name = " ".join(name.split())
    if not name.isprintable() or len(name) > most or not (name or may_be_empty):
        raise InvalidInput(f"Give a name of at most {most} letters.", field="name")
    return name


def checked_role(role: str) -> str:
    if role not in roles.ROLES:
        raise InvalidInput(f"A role is one of {', '.join(roles.ROLES)}.", field="role")
    return role


def checked_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise InvalidInput("This is not an e-mail address.", field="email") from None
    if len(email) > 254:
        raise InvalidInput("This e-mail address is too long.", field="email")
    return email


def new_person(*, email: str, name: str, password: str) -> User:
    """An account, not yet saved, if these may become one. Hashing the password takes its time."""
    user = User(email=checked_email(email), name=checked_name(name, most=120, may_be_empty=True))
    if User.objects.filter(email__iexact=user.email).exists():
        raise AccountExists
    try:
        validate_password(password, user)
    except ValidationError as problem:
        raise InvalidInput(" ".join(problem.messages), field="password") from None
    user.set_password(password)
    return user


class AccountExists(Conflict):
    def __init__(self) -> None:
        super().__init__("This address has an account. Sign in, then open the link again.", field="email")
