"""Settings: which source wins, what is refused, what is masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from processors.errors import ConfigError
from streams.origins import flat, resolve
from streams.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("FILLONCE_")]:
        monkeypatch.delenv(name)


def _file(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_the_environment_wins_over_secret_files_and_those_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults, file, secret file, environment, command line: each over those before it, and it is told."""
    config = _file(
        tmp_path,
        '[kafka]\nbootstrap = "file:1"\npassword = "file"\n[partitions]\naccount = 3\n',
    )
    secret = tmp_path / "secret"
    secret.write_text("from the secret file\n")
    monkeypatch.setenv("FILLONCE_KAFKA__PASSWORD_FILE", str(secret))
    monkeypatch.setenv("FILLONCE_PARTITIONS__ACCOUNT", "5")
    settings, origins = resolve(config, {"instance_id": "7"})
    assert settings.kafka.password is not None
    assert settings.kafka.password.get_secret_value() == "from the secret file"
    assert (settings.kafka.bootstrap, settings.partitions.account) == ("file:1", 5)
    assert settings.instance_id == "7"
    assert origins == {
        "kafka.bootstrap": "file settings.toml",
        "kafka.password": "secret file",
        "partitions.account": "environment",
        "instance_id": "command line",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[kafka]\nbootstrp = 'x'\n", "kafka.bootstrp: no such setting"),
        ("[kafak]\nbootstrap = 'x'\n", "kafak: no such setting"),
        ("[partitions]\naccount = 0\n", "partitions.account"),
        ("[source]\npace = 'slow'\n", "source.pace"),
        ("[venue]\nkind = 'simulator'\n", "venue.base_url"),
        ("[market]\nprotection_interval = 7\n", "protection_interval"),
        ("[market]\nmax_market_delay = 'never'\n", "max_market_delay"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    """A key that is unknown or a value that cannot be is a ConfigError with the setting's name."""
    with pytest.raises(ConfigError) as caught:
        resolve(_file(tmp_path, text), {})
    assert words in str(caught.value)


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable under our prefix that names no setting does not do nothing, silently."""
    monkeypatch.setenv("FILLONCE_KAFK__BOOTSTRAP", "x")
    with pytest.raises(ConfigError, match="no setting"):
        resolve(None, {})


def test_other_programs_variables_and_tables_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may hold the tables of `accounts apply` and `simulator`, the environment our caches."""
    monkeypatch.setenv("FILLONCE_CACHE", "x")
    config = _file(tmp_path, "[simulator]\nx = 1\n[[accounts]]\nname = 'a'\n")
    assert resolve(config, {})[0] == Settings()


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """Neither the masked values nor an error hold a secret."""
    config = _file(
        tmp_path,
        "[kafka]\npassword = 'hunter2'\nclient = { 'sasl.password' = 'hunter2' }\n"
        "[venue.accounts.a]\nkey = 'k'\nsecret = 'hunter2'\n",
    )
    settings = load_settings(config)
    assert "hunter2" not in str(settings.masked())
    assert "hunter2" not in repr(settings)
    assert settings.kafka_client["sasl.password"] == "hunter2"
    config.write_text("[venue.accounts.a]\nkey = 'k'\nsecret = ['hunter2']\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    assert "hunter2" not in str(caught.value)


def test_a_journaled_configuration_gives_the_settings_again(tmp_path: Path) -> None:
    """What the journal's first record of a boot holds is enough to build the same core again."""
    from streams.app import settings_of

    config = _file(tmp_path, "[market]\nintervals = [60, 300]\nprotection_interval = 60\n")
    settings = load_settings(config)
    again = settings_of({"settings": settings.masked()})
    assert again == settings
    assert flat(again.masked()) == flat(settings.masked())
