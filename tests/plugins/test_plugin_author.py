"""Writing a plugin in a folder of one's own, from the first command to a plugin that Navi loads."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from integrations import registry

HOUSE = Path(__file__).resolve().parents[2]


def shell(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, in the checkout."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=HOUSE, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for plugins, as an operator makes it."""
    folder = tmp_path_factory.mktemp("plugins")
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def at_the_shell(rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Run manage.py with the folder in NAVI_PLUGIN_DIRS: `at_the_shell("plugin_check", "basecamp")`."""
    data = str(tmp_path_factory.mktemp("data"))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return shell("manage.py", *words, NAVI_DATA_DIR=data, NAVI_PLUGIN_DIRS=str(rooms))

    return run


@pytest.fixture(scope="module")
def written(at_the_shell: Any) -> subprocess.CompletedProcess[str]:
    """What plugin_new said."""
    said: subprocess.CompletedProcess[str] = at_the_shell("plugin_new", "time-tracker", "--name", "Time & Co")
    return said


@pytest.fixture
def load(settings: Any) -> Iterator[Callable[[Path], registry.Registry]]:
    """Load the installed plugins and those of a folder, in this process."""

    def installed(folder: Path) -> registry.Registry:
        settings.PLUGIN_DIRS = [folder]
        registry.installed.cache_clear()
        return registry.installed()

    yield installed
    registry.installed.cache_clear()


def new(slug: str, folder: Path, **options: Any) -> str:
    out = StringIO()
    call_command("plugin_new", slug, dir=folder, stdout=out, **options)
    return out.getvalue()


def test_a_new_plugin_is_written_with_what_to_do_next(written: subprocess.CompletedProcess[str], rooms: Path):
    assert written.returncode == 0, written.stderr
    assert "plugin_check time-tracker" in written.stdout
    found = {str(path.relative_to(rooms)) for path in rooms.rglob("*") if path.is_file()}
    assert found == {
        "time_tracker/plugin.py",
        "time_tracker/icon.svg",
        "time_tracker/payloads/health.json",
        "time_tracker/payloads/list_items.json",
        "time_tracker/tests/test_time_tracker.py",
    }


def test_its_test_passes_at_once(written: subprocess.CompletedProcess[str], rooms: Path):
    done = shell("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(rooms / "time_tracker"))

    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_it_is_bronze_and_told_what_is_missing_for_silver(
    written: subprocess.CompletedProcess[str], at_the_shell: Any
):
    done = at_the_shell("plugin_check", "time-tracker", "--json")

    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)
    assert found["tier"] == "bronze"
    missing = {check["check"]: check["how"] for check in found["checks"] if not check["met"]}
    assert {"errors", "words"} <= missing.keys()
    assert all(missing.values())


def test_it_can_be_looked_at(written: subprocess.CompletedProcess[str], at_the_shell: Any):
    done = at_the_shell("plugin_replay", "time-tracker", "list_items", "--arguments", '{"cursor": "2"}')

    assert done.returncode == 0, done.stderr
    assert "GET /items?cursor=2" in done.stdout
    assert "https://example.com/items/a1" in done.stdout
    assert "Bearer" not in done.stdout


def test_navi_loads_it(written: subprocess.CompletedProcess[str], rooms: Path, load: Any):
    known = load(rooms)

    assert known.entries["time-tracker"].name == "Time & Co"
    assert known.entries["time-tracker"].source == str(rooms)
    assert known.plugins["time-tracker"].first_try.id == "time-tracker.list_items"


@pytest.mark.parametrize("guarded", [".", "time_tracker", "time_tracker/plugin.py"])
@pytest.mark.parametrize("others", [0o002, 0o020], ids=["world", "group"])
def test_a_folder_that_others_may_write_is_refused(
    written: subprocess.CompletedProcess[str], rooms: Path, load: Any, guarded: str, others: int
):
    path = rooms / guarded
    before = path.stat().st_mode
    path.chmod(before | others)
    try:
        with pytest.raises(ImproperlyConfigured, match=f"chmod go-w {path.resolve()}"):
            load(rooms)
    finally:
        path.chmod(before)


def test_a_slug_that_is_taken_is_refused_when_loading(tmp_path: Path, load: Any):
    new("basecamp", tmp_path)
    code = tmp_path / "basecamp" / "plugin.py"
    code.write_text(code.read_text().replace('slug="basecamp"', 'slug="todoist"'))
    tmp_path.chmod(0o755)

    with pytest.raises(ImproperlyConfigured, match=r"'todoist'.* taken"):
        load(tmp_path)


@pytest.mark.parametrize("slug", ["todoist", "providers"])
def test_a_slug_that_is_taken_is_refused_when_writing(tmp_path: Path, slug: str):
    with pytest.raises(CommandError, match="taken"):
        new(slug, tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slug", ["Basecamp", "../basecamp", "a_b", "a-", "a--b", "9lives", "", "a" * 41])
def test_what_is_no_slug_is_refused(tmp_path: Path, slug: str):
    with pytest.raises(CommandError, match="no slug"):
        new(slug, tmp_path)


@pytest.mark.parametrize("name", ['A "quoted" name', "<b>", "a\nb", "\\", "x" * 41])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str):
    with pytest.raises(CommandError, match="no name"):
        new("basecamp", tmp_path, name=name)


def test_nothing_is_ever_overwritten(tmp_path: Path):
    new("basecamp", tmp_path)
    mine = tmp_path / "basecamp" / "plugin.py"
    mine.write_text("# mine")

    with pytest.raises(CommandError, match="there already"):
        new("basecamp", tmp_path)

    assert mine.read_text() == "# mine"


def test_a_folder_that_navi_does_not_look_into_is_named(tmp_path: Path):
    assert f"when NAVI_PLUGIN_DIRS names {tmp_path}" in new("basecamp", tmp_path)


def test_a_generous_umask_leaves_the_plugin_loadable(tmp_path: Path, load: Any):
    rooms = tmp_path / "plugins"
    rooms.mkdir(mode=0o755)
    before = os.umask(0o000)
    try:
        new("basecamp", rooms)
    finally:
        os.umask(before)

    assert "basecamp" in load(rooms).plugins


def test_below_the_minimum_the_check_fails(tmp_path: Path, load: Any):
    tmp_path.chmod(0o755)
    new("basecamp", tmp_path)
    (tmp_path / "basecamp" / "icon.svg").unlink()
    shutil.rmtree(tmp_path / "basecamp" / "tests")
    load(tmp_path)

    out = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("plugin_check", "basecamp", stdout=out)

    assert end.value.code == 1
    assert "not yet bronze" in out.getvalue()
    assert "icon.svg" in out.getvalue()


def test_a_living_secret_in_a_payload_is_noticed(tmp_path: Path, load: Any):
    tmp_path.chmod(0o755)
    new("basecamp", tmp_path)
    payload = tmp_path / "basecamp" / "payloads" / "health.json"
    payload.write_text(payload.read_text().replace("alice@", "ghp_0123456789abcdefghij0123456789 alice@"))
    load(tmp_path)

    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("plugin_check", "basecamp", stdout=out)

    assert "health.json holds what looks like a GitHub token" in out.getvalue()


def test_every_bundled_plugin_is_gold():
    out = StringIO()
    call_command("plugin_check", all=True, json=True, stdout=out)

    tiers = {found["plugin"]: found["tier"] for found in json.loads(out.getvalue())}
    entries = registry.installed().entries.values()
    bundled = [plugin.slug for entry in entries if entry.source == "bundled" for plugin in entry.plugins]
    assert bundled
    assert {slug: tiers[slug] for slug in bundled} == dict.fromkeys(bundled, "gold")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody", "health"], "installed: .*linear"),
        (["todoist", "dance"], "has no payload “dance”"),
        (["todoist", "list_tasks", "--payload", "nothing"], "has no payload “nothing”"),
        (["todoist", "list_tasks", "--arguments", "[]"], "no JSON object"),
        (["todoist", "list_tasks", "--arguments", "{"], "no JSON"),
        (["todoist", "list_tasks", "--arguments", '{"limit": 500}'], "limit"),
        (["todoist", "list_tasks", "--payload", "health"], "recorded is '/user'"),
        (["todoist", "dance", "--payload", "health"], "no action “dance”"),
    ],
)
def test_a_replay_that_cannot_be_says_why(words: list[str], said: str):
    with pytest.raises(CommandError, match=said):
        call_command("plugin_replay", *words, stdout=StringIO())


def test_a_replayed_refusal_is_shown_as_the_agent_meets_it():
    out = StringIO()

    call_command("plugin_replay", "todoist", "health", payload="token_revoked", stdout=out)

    assert "GET /user" in out.getvalue()
    assert "Reconnect (reauth_required): Todoist does not accept" in out.getvalue()
