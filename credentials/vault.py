"""Sealing: what is secret rests encrypted, bound to its row, and opens only through `.reveal()`.

A sealed value is `nv1 | length and text of the key id | FernetBytes token`. The primitives come from
django-cryptography-5; keys come from navi.keyring (never from SECRET_KEY), and the signer carries
the place of the value (model, field, row, owner), so that a value moved elsewhere does not open.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.signing import BadSignature
from django.db import models
from django_cryptography.core.signing import FernetSigner
from django_cryptography.utils.crypto import FernetBytes

from navi.keyring import KeyringProblem

FORMAT = b"nv1"
SEALED = re.compile(rb"nv1\x09(k[0-9a-f]{8})")
UNSET: Any = object()


class VaultSealed(Exception):
    """Navi has not got the key: 503 `sealed`. The message says which file is missing."""


class Unreadable(Exception):
    """The value was damaged or moved; its key is present, but it does not open."""


class PlacedSigner(FernetSigner):
    """Fernet's signer with additional authenticated data under the MAC."""

    def __init__(self, key: bytes, place: bytes) -> None:
        super().__init__(key)
        self.place = place

    def signature(self, value: bytes | str) -> bytes:
        plain = value.encode() if isinstance(value, str) else value
        return bytes(super().signature(struct.pack(">Q", len(self.place)) + self.place + plain))


def place_of(parts: Iterable[str]) -> bytes:
    """The parts, each with its length, so that no two places look alike."""
    encoded = [part.encode() for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)


def seal(plain: bytes, place: bytes) -> bytes:
    """Seal under the primary key. Raises VaultSealed where there is no keyring."""
    keyring = current_keyring()
    head = header(keyring.primary)
    return head + fernet(keyring.primary, head + place).encrypt(plain)


def unseal(token: bytes, place: bytes) -> bytes:
    """Open a sealed value. Raises VaultSealed (key missing) or Unreadable (damaged or moved)."""
    key_id = key_id_of(token)
    head = header(key_id)
    try:
        return bytes(fernet(key_id, head + place).decrypt(token[len(head) :]))
    except (BadSignature, ValueError, IndexError, struct.error):
        raise Unreadable("A sealed value does not open: it was damaged or moved.") from None


def header(key_id: str) -> bytes:
    return FORMAT + bytes([len(key_id)]) + key_id.encode()


def key_id_of(token: bytes) -> str:
    """The id of the key a value is sealed under. Raises Unreadable where there is none."""
    found = SEALED.match(token)
    if found is None:
        raise Unreadable("A sealed value has an unknown form.")
    return found[1].decode("ascii")


def fernet(key_id: str, place: bytes) -> FernetBytes:
    keyring = current_keyring()
    if key_id not in keyring.keys:
        raise VaultSealed(f"The keyring lacks the key {key_id!r}; restore the keyring file from your backup.")
    encrypting, signing = keyring.derive("seal", key_id), keyring.derive("sign", key_id)
    return FernetBytes(encrypting, signer=PlacedSigner(signing, place))


def current_keyring() -> Any:
    try:
        return settings.NAVI_KEYS.keyring()
    except KeyringProblem as problem:
        raise VaultSealed(str(problem)) from None


class Sealed:
    """What a sealed attribute yields: `<sealed>` everywhere, the plain value only by `.reveal()`."""

    __slots__ = ("field", "instance", "plain", "token")

    def __init__(
        self, instance: models.Model, field: SealedJSONField, token: bytes | None, plain: Any
    ) -> None:
        self.instance, self.field, self.token, self.plain = instance, field, token, plain

    def reveal(self) -> Any:
        """The plain value. Raises VaultSealed or Unreadable."""
        if self.plain is UNSET:
            if self.token is None:
                return None
            return json.loads(unseal(self.token, self.field.place(self.instance)))
        return self.plain

    @property
    def key_id(self) -> str | None:
        return None if self.token is None else key_id_of(self.token)

    def __bool__(self) -> bool:
        return self.token is not None or (self.plain is not UNSET and self.plain is not None)

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("A sealed value is never pickled.")


class SealedAttribute:
    def __init__(self, field: SealedJSONField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        name = self.field.attname
        if name not in instance.__dict__:
            instance.refresh_from_db(fields=[name])
        value = instance.__dict__[name]
        if not isinstance(value, Sealed):
            value = instance.__dict__[name] = Sealed(instance, self.field, value, UNSET)
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        if isinstance(value, Sealed):
            value = value.reveal()
        is_stored = isinstance(value, bytes | bytearray | memoryview)
        token = bytes(value) if is_stored else None
        plain = UNSET if is_stored else value
        instance.__dict__[self.field.attname] = Sealed(instance, self.field, token, plain)


if TYPE_CHECKING:
    SealedBase = models.Field[Any, Sealed]
else:
    SealedBase = models.BinaryField


class SealedJSONField(SealedBase):
    """A JSON value, sealed with the primary key and bound to model, field, row and `seal_owner`.

    The model needs a UUID primary key (known before the insert) and a `seal_owner` attribute:
    the id of the project or person it belongs to, "" where it belongs to the instance.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["editable"] = False
        super().__init__(*args, **kwargs)

    def contribute_to_class(self, cls: Any, name: str, private_only: bool = False) -> None:
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, self.attname, SealedAttribute(self))

    def place(self, instance: Any) -> bytes:
        label = instance._meta.label_lower
        return place_of([label, self.attname, str(instance.pk), str(instance.seal_owner)])

    def pre_save(self, instance: Any, add: bool) -> Any:
        sealed: Sealed = getattr(instance, self.attname)
        if sealed.plain is not UNSET:
            plain, sealed.plain = sealed.plain, UNSET
            sealed.token = None if plain is None else seal(json.dumps(plain).encode(), self.place(instance))
        return sealed.token

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        if isinstance(value, Sealed):
            value = value.token if value.plain is UNSET else self.pre_save(value.instance, add=False)
        if value is not None and not isinstance(value, bytes | memoryview):
            raise TypeError("A plain value is never written: use save(), not update().")
        return super().get_db_prep_value(value, connection, prepared)

    def value_to_string(self, obj: Any) -> Any:
        token = self.pre_save(obj, add=False)
        return None if token is None else base64.b64encode(token).decode()

    def get_lookup(self, lookup_name: str) -> Any:
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None


def reseal(instance: Any, field: SealedJSONField) -> bool:
    """Seal one value anew under the primary key, unless somebody changed it meanwhile.

    True where the row now rests under the primary key by this call.
    """
    sealed: Sealed = getattr(instance, field.attname)
    old = sealed.token
    if old is None or key_id_of(old) == current_keyring().primary:
        return False
    place = field.place(instance)
    fresh = seal(unseal(old, place), place)
    same = (
        type(instance)
        ._base_manager.filter(pk=instance.pk)
        .extra(  # noqa: S610 - column name of our own model
            where=[f'"{field.column}" = %s'], params=[old]
        )
    )
    return bool(same.update(**{field.attname: fresh}))
