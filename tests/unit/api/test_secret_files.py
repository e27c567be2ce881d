"""Secrets that come from files."""

from pathlib import Path

import pytest

from api.settings import Settings


@pytest.fixture(autouse=True)
def _no_other_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AMPWAVE_DATABASE_URL", raising=False)


def database_url(settings: Settings) -> str | None:
    return settings.database_url.get_secret_value() if settings.database_url else None


def test_a_secret_is_read_from_the_file_its_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:p@db/ampwave\n")
    monkeypatch.setenv("AMPWAVE_DATABASE_URL_FILE", str(secret))
    assert database_url(Settings()) == "postgresql://u:p@db/ampwave"
    assert "u:p@db" not in repr(Settings())


def test_the_variable_itself_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("from the file")
    monkeypatch.setenv("AMPWAVE_DATABASE_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("AMPWAVE_DATABASE_URL", "from the variable")
    assert database_url(Settings()) == "from the variable"


def test_a_missing_file_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AMPWAVE_S3_SECRET_KEY_FILE", str(tmp_path / "gone"))
    with pytest.raises(Exception, match=r"AMPWAVE_S3_SECRET_KEY_FILE names .*gone, which cannot be read"):
        Settings()


def test_what_is_no_secret_is_not_read_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "level").write_text("DEBUG")
    monkeypatch.setenv("AMPWAVE_LOG_LEVEL_FILE", str(tmp_path / "level"))
    assert Settings().log_level == "INFO"
