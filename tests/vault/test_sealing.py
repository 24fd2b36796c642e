"""What rests in the database opens only in its own place, under a key of the ring."""

import json
import threading
import time

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import connection as database

from credentials import keys, vault
from credentials.client import fields_of
from credentials.models import Connection, Secret, State
from integrations.registry import installed
from navi.audit.problems import Problem
from navi.keyring import KeyFiles

KEY = "lin_api_CANARYZk3v9Qw8Xy7Rt6Pl5Mn4Bv3Cx2Za1Sd0"


@pytest.fixture
def acmes_linear(connected, acme):
    return connected("linear", acme, apiKey=KEY)


@pytest.fixture
def charlies_linear(connected, elsewhere):
    return connected("linear", elsewhere, apiKey="lin_api_anotherkey")


def read_anew(connection):
    found = Connection.objects.select_related("current").get(pk=connection.pk)
    return fields_of(found, installed().entries[connection.provider].remote())


def write_blob(secret, blob):
    table = Secret._meta.db_table
    key = secret.pk.hex if database.vendor == "sqlite" else secret.pk
    with database.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET fields = %s WHERE id = %s", [blob, key])


def test_a_sealed_value_shows_nothing_and_reveals_on_request(acmes_linear):
    secret = acmes_linear.current

    assert str(secret.fields) == repr(secret.fields) == f"{secret.fields}" == "<sealed>"
    assert read_anew(acmes_linear) == {"apiKey": KEY}


def test_a_sealed_value_is_never_pickled_nor_written_plain(acmes_linear):
    import pickle

    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(acmes_linear.current.fields)
    with pytest.raises(TypeError, match="never written"):
        Secret.objects.update(fields={"fields": {"apiKey": "plain"}})


def test_a_dump_of_the_data_holds_no_plain_value_and_restores(acmes_linear):
    dump = serializers.serialize("json", Secret.objects.all())
    Secret.objects.filter(pk=acmes_linear.current_id).delete()
    for restored in serializers.deserialize("json", dump):
        restored.save()

    assert KEY not in dump
    Connection.objects.filter(pk=acmes_linear.pk).update(current=json.loads(dump)[0]["pk"])
    assert read_anew(acmes_linear) == {"apiKey": KEY}


def test_two_rows_swapped_do_not_open(acmes_linear, connected, acme):
    second = connected("linear", acme, apiKey="lin_api_the_second_key")
    first_blob, second_blob = acmes_linear.current.fields.token, second.current.fields.token
    write_blob(acmes_linear.current, second_blob)
    write_blob(second.current, first_blob)

    for connection in (acmes_linear, second):
        with pytest.raises(Problem) as refused:
            read_anew(connection)
        assert refused.value.code == "credential_unreadable"
    assert set(Connection.objects.values_list("state", flat=True)) == {State.UNREADABLE}


def test_a_connection_pointed_at_another_ones_secret_does_not_open(acmes_linear, connected, acme):
    second = connected("linear", acme, apiKey="lin_api_the_second_key")
    Connection.objects.filter(pk=second.pk).update(current=acmes_linear.current)

    with pytest.raises(Problem, match="damaged"):
        read_anew(second)


def test_another_projects_secret_does_not_open_here(acmes_linear, charlies_linear):
    Secret.objects.filter(pk=charlies_linear.current_id).update(
        connection=acmes_linear, seal_owner=acmes_linear.seal_owner
    )
    Connection.objects.filter(pk=acmes_linear.pk).update(current=charlies_linear.current)

    with pytest.raises(Problem, match="damaged"):
        read_anew(acmes_linear)


def test_a_value_does_not_open_in_another_field_or_model():
    here = vault.place_of(["credentials.secret", "fields", "1", "acme"])
    sealed = vault.seal(b"secret", here)

    assert vault.unseal(sealed, here) == b"secret"
    for other in (
        ["credentials.secret", "answer", "1", "acme"],
        ["integrations.actionrun", "fields", "1", "acme"],
        ["credentials.secret", "fields", "2", "acme"],
        ["credentials.secret", "fields", "1", "elsewhere"],
        ["credentials.secret", "fields", "1a", "cme"],
        ["credentials.secretfields", "", "1", "acme"],
    ):
        with pytest.raises(vault.Unreadable):
            vault.unseal(sealed, vault.place_of(other))


def test_every_flipped_bit_and_every_cut_is_found():
    place = vault.place_of(["a", "b", "c"])
    sealed = vault.seal(b'{"apiKey": "x"}', place)

    for position in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[position // 8] ^= 1 << (position % 8)
        with pytest.raises((vault.Unreadable, vault.VaultSealed)):
            vault.unseal(bytes(damaged), place)
    for length in range(len(sealed)):
        with pytest.raises((vault.Unreadable, vault.VaultSealed)):
            vault.unseal(sealed[:length], place)


def test_a_damaged_row_is_unreadable_and_the_list_still_opens(acmes_linear, ada):
    write_blob(acmes_linear.current, b"nv1\x09garbage")

    answer = ada.get("/api/credentials/linear/token")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "credential_unreadable")
    listed = ada.get("/api/credentials/linear").json()
    assert listed["connections"][0]["state"] == "unreadable"


def test_without_the_keyring_secrets_answer_sealed_and_the_rest_works(acmes_linear, ada, settings, tmp_path):
    without = KeyFiles(tmp_path)
    (tmp_path / "pepper").write_bytes((settings.NAVI_KEYS.directory / "pepper").read_bytes())
    (tmp_path / "pepper").chmod(0o600)
    settings.NAVI_KEYS = without

    secret, status = ada.get("/api/credentials/linear/token"), ada.get("/api/integrations/status")

    assert (secret.status_code, secret.json()["error"]["code"]) == (503, "sealed")
    assert status.status_code == 200
    assert "is missing" in (keys.ensure_keys() or "")
    assert not without.exists("keyring")
    assert Connection.objects.get().state == State.ACTIVE


def test_a_keyring_of_another_house_is_told_in_one_sentence(acmes_linear, ada, settings, tmp_path):
    wrong = KeyFiles(tmp_path)
    wrong.create("keyring")
    (tmp_path / "pepper").write_bytes((settings.NAVI_KEYS.directory / "pepper").read_bytes())
    (tmp_path / "pepper").chmod(0o600)
    settings.NAVI_KEYS = wrong

    assert "restore the keyring file" in (keys.why_sealed() or "")
    assert ada.get("/api/credentials/linear/token").json()["error"]["code"] == "sealed"


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    files = KeyFiles(tmp_path)
    files.create("keyring")
    (tmp_path / "keyring").chmod(0o644)

    from navi.keyring import KeyringProblem

    with pytest.raises(KeyringProblem, match="chmod 600"):
        files.keyring()


@pytest.fixture
def own_keys(settings, tmp_path):
    """A ring of this test's own, since it is turned."""
    files = KeyFiles(tmp_path / "ring")
    files.create("keyring")
    files.create("pepper")
    settings.NAVI_KEYS = files
    return files


@pytest.mark.slow
def until_they_read(reads, failures):
    """Let the readers read on, so that some reads came before what follows and some come after."""
    enough, end = len(reads) + 20, time.monotonic() + 60
    while len(reads) < enough and not failures and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_keys_turn_under_twenty_readers_without_a_failed_read(own_keys, connected, acme):
    rows = [connected("linear", acme, apiKey=f"lin_api_number_{number}") for number in range(40)]
    failures: list[BaseException] = []
    reads: list[int] = []
    stop = threading.Event()

    def read_for_ever(number):
        try:
            while not stop.is_set():
                connection = rows[(number + len(reads)) % len(rows)]
                assert read_anew(connection)["apiKey"].startswith("lin_api_number")
                reads.append(1)
        except BaseException as problem:
            failures.append(problem)
        finally:
            database.close()

    readers = [threading.Thread(target=read_for_ever, args=(number,)) for number in range(20)]
    for reader in readers:
        reader.start()
    old = own_keys.keyring().primary
    until_they_read(reads, failures)
    call_command("rotate_keys", batch=7, verbosity=0)
    until_they_read(reads, failures)
    stop.set()
    for reader in readers:
        reader.join()

    assert failures == []
    assert len(reads) > 20
    assert keys.key_ids_in_use() == {own_keys.keyring().primary: 40}
    assert old in own_keys.keyring().keys


def test_a_rotation_that_was_cut_off_is_finished_by_resume(own_keys, connected, acme):
    for number in range(6):
        connected("linear", acme, apiKey=f"lin_api_{number}")
    own_keys.add_primary()
    vault.reseal(Secret.objects.first(), Secret._meta.get_field("fields"))

    call_command("rotate_keys", resume=True, drop_old=True, verbosity=0)

    assert keys.key_ids_in_use() == {own_keys.keyring().primary: 6}
    assert len(own_keys.keyring().keys) == 1
    assert read_anew(Connection.objects.first())


def test_a_key_that_is_still_needed_is_not_dropped(own_keys, connected, acme, monkeypatch):
    from django.core.management.base import CommandError

    connected("linear", acme, apiKey="lin_api_one")
    monkeypatch.setattr("credentials.management.commands.rotate_keys.reseal_all", lambda batch: [])

    with pytest.raises(CommandError, match="still needed"):
        call_command("rotate_keys", drop_old=True, verbosity=0)

    assert len(own_keys.keyring().keys) == 2
