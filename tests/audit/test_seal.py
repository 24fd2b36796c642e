import json
import logging
import stat
import threading
import uuid
from datetime import timedelta, timezone

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from navi.audit import chain, seal
from navi.audit.actor import SYSTEM
from navi.audit.chain import content, head_path, key_ids_in_use, read_head, reset_head
from navi.audit.models import AppendOnly, AuditBatch, AuditCheckpoint, AuditEvent
from navi.audit.prune import Damaged, prune
from navi.audit.record import record
from navi.audit.seal import seal_batch, verify
from navi.audit.verify import Tally
from navi.keyring import KeyringMissing
from tests.audit.conftest import NOON, together

pytestmark = pytest.mark.django_db


def kinds():
    return [(finding.kind, finding.batch) for finding in verify()]


def change(event_or_batch, **values):
    """As somebody with the database in their hands would."""
    type(event_or_batch).ledger.filter(pk=event_or_batch.pk).update(**values)


def cut_off(batch):
    """The batch and its events, gone from the tables."""
    AuditEvent.ledger.filter(batch=batch).delete()
    AuditBatch.ledger.filter(pk=batch.pk).delete()


def newest_size():
    return len(AuditBatch.objects.latest("number").leaves)


def some_event(batch):
    return batch.events.order_by("id").first()


# --- sealing


def test_an_untouched_audit_verifies(minute, alice):
    batches = [minute(3), minute(1), minute(2)]
    record("action.run", actor=alice)
    tally = Tally()

    assert list(verify(tally)) == []

    assert tally == Tally(batches=3, events=6, unsealed=1)
    assert [batch.number for batch in batches] == [1, 2, 3]
    assert [batch.previous_mac for batch in batches] == ["", batches[0].mac, batches[1].mac]
    assert read_head() == batches[2].link
    assert stat.S_IMODE(head_path().stat().st_mode) == 0o600
    assert [path.name for path in head_path().parent.glob("audit_head*")] == ["audit_head"]


def test_an_empty_audit_verifies_and_nothing_is_sealed():
    assert seal_batch(NOON) is None
    assert kinds() == []
    assert not AuditBatch.objects.exists()


def test_many_events_become_several_batches(minute, monkeypatch):
    monkeypatch.setattr(seal, "BATCH_MOST", 4)

    minute(9)

    assert [len(batch.leaves) for batch in AuditBatch.objects.all()] == [4, 4, 1]
    assert kinds() == []


def test_what_is_sealed_is_the_same_before_it_is_stored_and_after(ada, acme, alices_gmail):
    detail = {
        "z": [1, 2.5, 1e22, 1e-7, -0.0, 5.0, None, True],
        "a": {"ü": "é\u2028", "b": {"y": 1, "x": 2}},
        "at": NOON,
        "id": uuid.UUID(int=5),
        "many": 2**70,
    }
    written = record(
        "action.run", actor=ada, project=acme, connection=alices_gmail, detail=detail, duration_ms=0
    )
    plain = record("action.run", actor=SYSTEM)
    elsewhere = AuditEvent(
        event="action.run", at=NOON.astimezone(timezone(timedelta(hours=5))), ip="2001:DB8::1"
    )
    elsewhere.save()

    for event in (written, plain, elsewhere):
        assert content(AuditEvent.objects.get(pk=event.pk)) == content(event)
    assert b'"duration_ms":0' in content(written)
    assert b"provider" not in content(plain)


def test_without_a_keyring_nothing_is_sealed_and_one_line_says_so(alice, settings, caplog):
    record("action.run", actor=alice)
    (settings.DATA_DIR / "keyring").unlink()

    with caplog.at_level(logging.WARNING):
        assert seal_batch(NOON) is None

    assert len(caplog.messages) == 1 and "not being sealed" in caplog.messages[0]
    assert AuditEvent.objects.unsealed().count() == 1
    assert [kind for kind, _ in kinds()] == ["keyring_missing"]


def test_an_event_that_commits_late_is_no_forgery(minute, alice):
    minute()
    AuditEvent(event="action.run", at=NOON - timedelta(hours=1)).save()

    batch = minute(0)

    assert len(batch.leaves) == 1
    assert kinds() == []


@pytest.mark.only_on("postgresql")  # SQLite has one writer at a time
@pytest.mark.django_db(transaction=True)
def test_an_event_whose_transaction_is_open_while_others_are_sealed_is_no_forgery(alice):
    written, sealed = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            record("action.run", actor=alice)
            written.set()
            sealed.wait(60)

    def sealer():
        written.wait(60)
        record("action.run", actor=alice)
        seal_batch(NOON)
        sealed.set()
        return newest_size()

    assert together(slow, sealer)[1] == 1
    seal_batch(NOON)
    assert (AuditBatch.objects.count(), newest_size()) == (2, 1)
    assert kinds() == []


def test_of_two_sealers_at_once_one_wins_and_no_event_is_lost_or_sealed_twice(file_database, alice):
    def fill():
        AuditEvent.objects.bulk_create(AuditEvent(event="action.run", at=NOON) for _ in range(300))

    def look():
        listed = [leaf for batch in AuditBatch.objects.all() for leaf, _ in batch.leaves]
        return listed, AuditEvent.objects.unsealed().count(), list(verify())

    for round_ in range(1, 4):
        together(fill)
        made = together(*[lambda: seal_batch(NOON)] * 4)
        [(listed, unsealed, findings)] = together(look)

        assert any(made)
        assert len(listed) == len(set(listed)) == 300 * round_
        assert unsealed == 0
        assert findings == []


def test_a_sealer_that_was_overtaken_leaves_everything_as_it_was(minute, alice, monkeypatch):
    minute()
    record("action.run", actor=alice)
    stale = chain.end_of_chain()
    minute(1)
    record("action.run", actor=alice)
    monkeypatch.setattr(seal, "end_of_chain", lambda: stale)

    assert seal_batch(NOON) is None

    assert AuditEvent.objects.unsealed().count() == 1
    assert kinds() == []


def test_a_sealer_whose_events_were_sealed_while_it_counted_leaves_everything_as_it_was(
    minute, alice, monkeypatch
):
    minute()
    record("action.run", actor=alice)

    def after_a_rival():
        monkeypatch.undo()
        seal_batch(NOON)
        return chain.end_of_chain()

    with monkeypatch.context():
        monkeypatch.setattr(seal, "end_of_chain", after_a_rival)
        assert seal_batch(NOON) is None

    assert AuditBatch.objects.count() == 2
    assert ("event_moved", 2) not in kinds()


def test_a_rotated_key_seals_what_comes_and_the_old_one_still_checks_what_was(minute, keys):
    old = minute()
    keys.add_primary()
    new = minute()

    assert old.key_id != new.key_id
    assert key_ids_in_use() == {old.key_id, new.key_id}
    assert kinds() == []


def test_batches_are_never_changed_by_hand(minute):
    batch = minute()

    for attempt in (batch.save, batch.delete, AuditBatch.objects.all().delete):
        with pytest.raises(AppendOnly):
            attempt()
    with pytest.raises(AppendOnly):
        AuditBatch.objects.update(mac="")


def test_verifying_looks_at_one_batch_at_a_time(minute):
    for _ in range(5):
        minute()

    with CaptureQueriesContext(connection) as queries:
        list(verify())

    leaves = [query["sql"] for query in queries if '"leaves"' in query["sql"]]
    assert leaves and all("LIMIT 1" in sql for sql in leaves)


# --- what somebody may have done


@pytest.mark.parametrize(
    "values",
    [
        {"outcome": "failed"},
        {"actor_label": "Bob"},
        {"at": NOON},
        {"ip": None},
        {"detail": {}},
        {"project_id": None},
        {"duration_ms": 7},
        {"event": "secret.released"},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_changed_event_is_found_by_name(minute, values):
    minute()
    event = some_event(minute())

    change(event, **values)

    [finding] = verify()
    assert (finding.kind, finding.batch, finding.event) == ("event_changed", 2, event.pk)
    assert str(event.pk) in finding.message


def test_a_removed_event_is_found_by_name(minute):
    event = some_event(minute())

    AuditEvent.ledger.filter(pk=event.pk).delete()

    [finding] = verify()
    assert (finding.kind, finding.batch, finding.event) == ("event_removed", 1, event.pk)


def test_an_inserted_event_is_found_by_name(minute):
    batch = minute()
    forged = AuditEvent(event="action.run", batch=batch)
    forged.save()

    [finding] = verify()
    assert (finding.kind, finding.batch, finding.event) == ("event_inserted", 1, forged.pk)


def test_an_event_taken_out_of_its_batch_is_found_even_if_it_is_sealed_again(minute):
    event = some_event(minute())

    change(event, batch=None)
    before = kinds()
    minute(0)

    assert before == kinds() == [("event_moved", 1)]


def test_an_event_moved_to_another_batch_is_found_in_both(minute):
    event = some_event(minute())

    change(event, batch=minute())

    assert kinds() == [("event_moved", 1), ("event_inserted", 2)]


@pytest.mark.parametrize("name", ["leaves", "sealed_at", "mac", "previous_mac"])
def test_a_changed_batch_is_found_by_name(minute, name):
    minute()
    batch, other = minute(), minute()

    change(batch, **{name: getattr(other, name)})

    assert ("batch_changed", 2) in kinds()


@pytest.mark.parametrize("leaves", [{}, [], [1], [["x", "y"]], "text", None, [[1, 2]]])
def test_leaves_that_are_none_are_found_and_stop_nothing(minute, leaves):
    batch = minute()
    minute()

    change(batch, leaves=leaves if leaves is not None else 0)

    assert ("batch_changed", 1) in kinds()


def test_a_removed_batch_is_found_by_name(minute):
    minute()
    batch = minute()
    minute()

    cut_off(batch)

    assert kinds() == [("batch_missing", 2)]


def test_batches_that_changed_places_are_found_by_name(minute):
    minute()
    second, third = minute(), minute()
    minute()

    with transaction.atomic():
        AuditEvent.ledger.filter(batch=2).update(batch=99)
        AuditEvent.ledger.filter(batch=3).update(batch=2)
        AuditEvent.ledger.filter(batch=99).update(batch=3)
        AuditBatch.ledger.filter(number=2).update(number=99)
        AuditBatch.ledger.filter(number=3).update(number=2)
        AuditBatch.ledger.filter(number=99).update(number=3)

    assert [(finding.kind, finding.message) for finding in verify()][:2] == [
        ("batch_reordered", "Batch 2 was sealed as batch 3."),
        ("batch_reordered", "Batch 3 was sealed as batch 2."),
    ]
    assert second.mac != third.mac


def test_a_batch_put_in_the_place_of_a_removed_one_is_found(minute):
    minute()
    gone, moved = minute(), minute()

    cut_off(gone)
    with transaction.atomic():
        AuditBatch.ledger.filter(number=3).update(number=2)
        AuditEvent.ledger.filter(batch=moved).update(batch=2)

    assert kinds() == [("batch_reordered", 2), ("batch_missing", 3)]


def test_a_genuine_batch_of_an_older_history_is_found_in_the_newer_one(minute):
    minute()
    older = minute()
    its_events = list(older.events.all())
    cut_off(older)
    reset_head()
    newer = minute()
    minute()

    cut_off(newer)
    AuditBatch.objects.bulk_create([older])
    AuditEvent.objects.bulk_create(its_events)

    assert kinds() == [("chain_broken", 3)]


def test_a_chain_cut_short_at_its_end_is_found(minute):
    minute()
    for batch in (minute(), minute()):
        cut_off(batch)

    [finding] = verify()
    assert (finding.kind, finding.message) == ("batch_missing", "Batches 2 to 3 are missing.")


def test_a_chain_cut_off_whole_is_found(minute):
    cut_off(minute())

    assert kinds() == [("batch_missing", 1)]


def test_sealing_goes_on_behind_a_chain_cut_short_and_the_gap_stays(minute):
    minute()
    cut_off(minute())

    batch = minute()

    assert batch.number == 3
    assert kinds() == [("batch_missing", 2)]


def test_a_missing_head_is_found_and_that_it_was_missing_is_remembered(minute, caplog):
    minute()
    head_path().unlink()
    before = kinds()

    minute()

    assert before == [("head_missing", None)]
    assert kinds() == []
    assert AuditEvent.objects.get(event="audit.head_lost").batch_id == 2
    assert "was missing" in caplog.text


@pytest.mark.parametrize("text", ["", "12", "-1 " + "a" * 64, "9" * 40 + " " + "a" * 64, "ü"])
def test_a_damaged_head_does_not_stop_the_sealing(minute, text):
    minute()
    head_path().write_text(text)
    before = kinds()

    assert minute().number == 2

    assert before == [("head_missing", None)]
    assert kinds() == []
    assert AuditEvent.objects.filter(event="audit.head_lost").count() == 1


def test_a_head_that_cannot_be_written_does_not_stop_the_sealing(minute, monkeypatch, caplog):
    def full(link):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seal, "advance_head", full)

    assert minute().number == 1
    assert "No space left" in caplog.text


def test_a_restored_backup_verifies_once_the_head_is_reset(minute):
    minute()
    cut_off(minute())

    reset_head()

    assert kinds() == []
    assert minute().number == 2
    cut_off(AuditBatch.objects.get(number=2))
    cut_off(AuditBatch.objects.get(number=1))
    reset_head()
    assert kinds() == [] and not head_path().exists()


def test_an_audit_under_the_keyring_of_another_house_asks_for_the_right_one(minute, keys):
    minute()

    (keys.directory / "keyring").unlink()
    keys.create("keyring")

    [finding] = verify()
    assert (finding.kind, finding.batch) == ("key_missing", 1)
    assert "restore it from your backup" in finding.message


@pytest.mark.only_on("sqlite")  # PostgreSQL keeps the foreign key
def test_an_event_that_names_a_batch_which_is_not_there_is_found(minute):
    minute()
    stray = AuditEvent(event="action.run", batch_id=77)
    stray.save()

    found = [(finding.kind, finding.event) for finding in verify()]
    AuditEvent.ledger.filter(pk=stray.pk).delete()

    assert found == [("event_stray", stray.pk)]


@pytest.mark.only_on("sqlite")  # PostgreSQL keeps the types
def test_a_row_that_no_longer_reads_is_found_by_name(minute):
    event = some_event(minute(4))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditevent SET project_id = 'nonsense' WHERE id = %s", [event.pk.hex])

    [finding] = verify()
    assert (finding.kind, finding.event) == ("event_changed", event.pk)


# --- pruning


def test_a_pruned_audit_verifies_and_says_until_when(minute, bob):
    for _ in range(4):
        minute()

    pruned = prune(NOON + timedelta(minutes=3), at=NOON + timedelta(hours=1), actor=bob)
    tally = Tally()
    findings = list(verify(tally))

    assert (pruned.batches, pruned.events) == (2, 4)
    assert findings == []
    assert tally.pruned_until == NOON + timedelta(minutes=2)
    assert [batch.number for batch in AuditBatch.objects.all()] == [3, 4]
    told = AuditEvent.objects.get(event="audit.pruned")
    assert (told.actor_label, told.detail["events"]) == ("Bob", 4)


def test_pruning_again_goes_on_where_it_ended(minute):
    for _ in range(4):
        minute()
        prune(NOON + timedelta(minutes=3), at=NOON)

    checkpoint = AuditCheckpoint.objects.get()
    assert (checkpoint.number, checkpoint.events) == (2, 5)  # one of them told of the first pruning
    assert kinds() == []


def test_an_audit_pruned_whole_goes_on_where_it_ended(minute):
    minute(), minute()
    prune(NOON + timedelta(days=1), at=NOON)
    empty = kinds()
    head_path().unlink()

    assert minute().number == 3
    assert empty == kinds() == []


def test_what_is_young_or_waits_to_be_sealed_is_not_pruned(minute, alice):
    minute()
    AuditEvent(event="action.run", at=NOON - timedelta(days=900)).save()

    pruned = prune(NOON, at=NOON)

    assert pruned.batches == 0
    assert AuditEvent.objects.count() == 3
    assert not AuditCheckpoint.objects.exists()


def test_pruning_stops_at_what_was_tampered_with_unless_it_is_forced(minute):
    minute()
    event = some_event(minute())
    change(event, actor_label="Bob")

    with pytest.raises(Damaged) as raised:
        prune(NOON + timedelta(days=1), at=NOON)
    left = AuditBatch.objects.count()
    prune(NOON + timedelta(days=1), at=NOON, force=True)

    assert raised.value.finding.event == event.pk
    assert left == 1
    assert kinds() == []
    assert [e.detail["forced"] for e in AuditEvent.objects.filter(event="audit.pruned").oldest_first()] == [
        False,
        True,
    ]


def test_pruning_needs_the_keyring(minute, settings):
    minute()
    (settings.DATA_DIR / "keyring").unlink()

    with pytest.raises(KeyringMissing):
        prune(NOON + timedelta(days=1), at=NOON)

    assert AuditBatch.objects.exists()


@pytest.mark.parametrize("values", [{"pruned_until": NOON}, {"events": 0}, {"mac": "0" * 64}, {"number": 2}])
def test_a_checkpoint_that_navi_did_not_sign_is_found(minute, values):
    minute(), minute(), minute()
    prune(NOON + timedelta(seconds=61), at=NOON)

    AuditCheckpoint.objects.update(**values)

    assert "checkpoint_changed" in {finding.kind for finding in verify()}


def test_removing_the_beginning_without_a_checkpoint_is_found(minute):
    cut_off(minute())
    minute()

    assert kinds() == [("batch_missing", 1)]


def test_pruned_batches_that_come_back_are_found(minute):
    old = minute()
    minute()
    prune(NOON + timedelta(minutes=2), at=NOON)

    AuditBatch.objects.bulk_create([old])

    assert kinds() == [("batch_inserted", 1)]


def test_the_seal_holds_no_words_of_an_event(minute, alice):
    minute()

    assert "Alice" not in json.dumps(AuditBatch.objects.get().leaves)
