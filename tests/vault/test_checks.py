import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError


@pytest.fixture
def in_the_world(settings, tmp_path):
    settings.IS_PUBLIC, settings.BASE_URL = True, "https://navi.example"
    settings.TRUSTED_PROXIES = 1
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 31536000
    settings.DATA_DIR = tmp_path
    settings.SECRET_KEY = "x7" * 30 + "aBcDeFg"
    return settings


def complaints():
    with pytest.raises(SystemCheckError) as refused:
        call_command("check", deploy=True, tags=["security"])
    return str(refused.value)


def test_a_proper_setup_passes(in_the_world):
    call_command("check", deploy=True, tags=["security"])


def test_a_detour_is_refused_in_the_world(in_the_world):
    in_the_world.UPSTREAMS = {"todoist": "http://127.0.0.1:9001"}

    assert "navi.E001" in complaints()


def test_a_key_file_that_others_may_read_is_refused(in_the_world, tmp_path):
    (tmp_path / "keyring").write_text("x")
    (tmp_path / "keyring").chmod(0o640)

    assert "chmod 600" in complaints()


def test_a_plain_address_is_refused(in_the_world):
    in_the_world.IS_PUBLIC = False

    assert "navi.E003" in complaints()


def test_a_queue_that_repeats_too_soon_is_refused(in_the_world):
    in_the_world.Q_CLUSTER = {**in_the_world.Q_CLUSTER, "retry": 10}

    assert "navi.E004" in complaints()
