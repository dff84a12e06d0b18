"""Settings are read once, with every fault at once, and never show a secret."""

from pathlib import Path

import pytest

from classpulse.errors import BadInput
from classpulse.settings import Settings, has_password, masked, nearest


def faults(environ: dict[str, str], values: dict[str, object] | None = None) -> tuple[str, ...]:
    with pytest.raises(BadInput) as caught:
        Settings.from_env(environ, values)
    return caught.value.faults


def test_nothing_given_gives_the_defaults() -> None:
    assert Settings.from_env({}) == Settings()
    assert Settings().bus == "sqlite://data-out/bus.sqlite"


def test_the_bus_lies_in_the_data_folder_unless_it_is_given() -> None:
    assert Settings.from_env({"CLASSPULSE_DATA": "/x"}).bus == "sqlite:///x/bus.sqlite"
    assert Settings.from_env({"CLASSPULSE_DATA": "/x", "CLASSPULSE_BUS": "memory://"}).bus == "memory://"


def test_variables_are_stronger_than_the_site_files_table() -> None:
    settings = Settings.from_env({"CLASSPULSE_BUCKET_MS": "5000"}, {"bucket_ms": 2000, "commit_ms": 50})
    assert (settings.bucket_ms, settings.commit_ms) == (5000, 50)


def test_other_programs_variables_and_the_tests_own_are_left_alone() -> None:
    assert Settings.from_env({"PATH": "/bin", "CLASSPULSE_TEST_REQUIRE": "rtsp"}) == Settings()


def test_an_unknown_variable_is_answered_with_the_nearest_that_exists() -> None:
    (fault,) = faults({"CLASSPULSE_FRESHNES_MS": "5"})
    assert fault == "CLASSPULSE_FRESHNES_MS = '5': unknown setting; nearest is CLASSPULSE_FRESHNESS_MS"


def test_an_unknown_key_of_the_table_is_answered_with_the_nearest_that_exists() -> None:
    (fault,) = faults({}, {"comit_ms": 5})
    assert fault == "settings.comit_ms = '5': unknown setting; nearest is commit_ms"


def test_every_fault_is_named_at_once() -> None:
    found = faults({"CLASSPULSE_FOO_BAR_BAZ": "1", "CLASSPULSE_BUCKET_MS": "ten"}, {"log_level": "LOUD", "data": 7})
    assert [fault.split(" = ")[0] for fault in found] == [
        "settings.log_level",
        "settings.data",
        "CLASSPULSE_FOO_BAR_BAZ",
        "CLASSPULSE_BUCKET_MS",
    ]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bucket_ms", "ten", r"CLASSPULSE_BUCKET_MS = 'ten': expected a whole number from 1000 to 3600000"),
        ("bucket_ms", "10.5", r"CLASSPULSE_BUCKET_MS = '10.5': expected a whole number"),
        ("detect_workers", "0", r"CLASSPULSE_DETECT_WORKERS = '0': expected a whole number from 1 to 24"),
        ("freshness_ms", "-1", r"CLASSPULSE_FRESHNESS_MS = '-1': expected a whole number from 1"),
        ("log_level", "LAUT", r"CLASSPULSE_LOG_LEVEL = 'LAUT': expected one of DEBUG, ERROR, INFO, WARNING$"),
        ("log_level", "info", r"CLASSPULSE_LOG_LEVEL = 'info': nearest is INFO \(one of DEBUG, INFO, WARNING, ERROR\)"),
        ("data", "", r"CLASSPULSE_DATA = '': expected a path"),
    ],
)
def test_a_wrong_value_names_key_value_and_expectation(name: str, value: str, expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        Settings.from_env({f"CLASSPULSE_{name.upper()}": value})


@pytest.mark.parametrize("value", [True, 1.5, None, [1]])
def test_a_table_value_of_another_type_names_the_type_found(value: object) -> None:
    with pytest.raises(BadInput, match=rf"settings.bucket_ms = .*: found {type(value).__name__}; expected a whole"):
        Settings.from_env({}, {"bucket_ms": value})


@pytest.mark.parametrize("value", ["1", "True", "", 1, "yes"])
def test_a_switch_is_true_or_false(value: object) -> None:
    assert Settings.from_env({"CLASSPULSE_CANARY": "false"}, {"canary": True}) == Settings()
    assert Settings.from_env({"CLASSPULSE_CANARY": "true"}).canary
    assert faults({}, {"canary": value}) == (f"settings.canary = {str(value)!r}: expected true or false",)


def test_a_child_process_gets_the_same_settings() -> None:
    settings = Settings(data=Path("/x"), model=Path("/m"), detect_workers=2, fault="detect/stage.polled:1")
    assert Settings.from_env(settings.to_env()) == settings
    assert Settings.from_env(Settings().to_env()) == Settings()


def test_what_is_printed_shows_no_password() -> None:
    settings = Settings(bus="kafka://user:hush@broker:9092/x?token=hush")
    assert "hush" not in settings.describe()
    assert "bus=kafka://user:***@broker:9092/x?token=***" in settings.describe()


def test_a_wrong_value_shows_no_password() -> None:
    (fault,) = faults({"CLASSPULSE_BUSS": "kafka://user:hush@broker"})
    assert fault == "CLASSPULSE_BUSS = 'kafka://user:***@broker': unknown setting; nearest is CLASSPULSE_BUS"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("rtsp://host:554/stream", "rtsp://host:554/stream"),
        ("rtsp://user@host/stream", "rtsp://user@host/stream"),
        ("rtsp://user:p@ss@host/stream", "rtsp://user:***@host/stream"),
        ("rtsp://user:p/ss@host/stream", "rtsp://user:***@host/stream"),
        ("could not open rtsp://:pw@h/x?Password=1&a=2", "could not open rtsp://:***@h/x?Password=***&a=2"),
    ],
)
def test_passwords_of_urls_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_a_url_without_a_password_is_not_taken_for_one() -> None:
    assert not has_password("rtsp://host:554/a%40b")
    assert not has_password("rtsp://user@host:554/a")
    assert has_password("rtsp://user:x@host/")
    assert has_password("rtsp://admin:12345/67@host/"), "nobody can tell it from a port and a path"
    assert has_password("rtsp://host/?pwd=x")


def test_nothing_near_lists_what_there_is() -> None:
    assert nearest("zzz", ["alpha", "beta"]) == "expected one of alpha, beta"
    assert nearest("zzz", []) == "expected one of none: there are none"


def test_the_districts_bus_is_opened_as_the_bridge() -> None:
    settings = Settings(district="kafka://one:9092?credentials=secrets/{stage}")
    assert settings.district_bus() == "kafka://one:9092?credentials=secrets/bridge"


@pytest.mark.parametrize("district", ["", "memory://", "sqlite:///x/bus.sqlite"])
def test_a_district_that_is_nowhere_or_here_is_refused(district: str) -> None:
    with pytest.raises(
        BadInput, match=r"district = '.*': expected the bus of another place, such as kafka://HOST:PORT"
    ):
        Settings(data=Path("/x"), district=district).district_bus()
