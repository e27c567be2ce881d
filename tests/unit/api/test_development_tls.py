import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from pydantic import SecretStr

from api.development_tls import development_root, ensure_development_ca, ensure_development_tls
from api.node_security import client_tls_options, server_tls_files
from api.readiness import role_processes
from api.settings import Settings
from api.settings_check import problems
from api.stack import role_environment
from csms.client_certificates import ClientTlsOptions
from csms.tls import ServerTlsFiles, build_context

NOW = datetime.now(UTC)


def test_the_first_start_makes_what_wss_needs_and_later_ones_keep_it(tmp_path: Path) -> None:
    bare = Settings(data_dir=tmp_path / "data")
    settings = ensure_development_tls(bare, NOW)
    files = server_tls_files(settings)
    assert isinstance(files, ServerTlsFiles)
    assert build_context(files).verify_mode is ssl.CERT_OPTIONAL
    assert isinstance(client_tls_options(settings), ClientTlsOptions)
    assert problems(settings) == []
    made = {path.name: path.read_bytes() for path in (tmp_path / "data" / "tls").iterdir()}
    assert ensure_development_tls(bare, NOW) == settings
    assert {path.name: path.read_bytes() for path in (tmp_path / "data" / "tls").iterdir()} == made


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    ensure_development_tls(Settings(data_dir=tmp_path / "data"), NOW)
    folder = tmp_path / "data" / "tls"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_certificate_that_ends_soon_is_made_anew_under_the_same_root(tmp_path: Path) -> None:
    bare = Settings(data_dir=tmp_path / "data")
    first = ensure_development_tls(bare, NOW - timedelta(days=85))
    assert first.csms_tls_cert_file is not None
    root, old = development_root(bare).read_bytes(), first.csms_tls_cert_file.read_bytes()
    ensure_development_tls(bare, NOW)
    assert development_root(bare).read_bytes() == root
    assert first.csms_tls_cert_file.read_bytes() != old
    certificate = x509.load_pem_x509_certificate(first.csms_tls_cert_file.read_bytes())
    assert certificate.not_valid_after_utc > NOW + timedelta(days=80)


def test_what_an_operator_configured_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, csms_tls_cert_file=Path("own.pem"), csms_tls_key_file=Path("own.key")
    )
    assert ensure_development_tls(settings, NOW) is settings
    assert not (tmp_path / "tls").exists()


def test_lists_of_files_pass_through_the_environment(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(data_dir=tmp_path, csms_crl_files=(Path("a.crl"), Path("b.crl")))
    environment = role_environment(settings, {})
    assert environment["AMPWAVE_CSMS_CRL_FILES"] == "a.crl,b.crl"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    monkeypatch.setenv("AMPWAVE_CSMS_CRL_FILES", " x.crl , ,y.crl")
    assert Settings().csms_crl_files == (Path("x.crl"), Path("y.crl"))


@pytest.mark.requirement("S64")
def test_the_pin_of_the_token_reaches_the_signer_and_no_other_role(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, pkcs11_pin=SecretStr("8642"))
    shell = {"AMPWAVE_PKCS11_PIN": "8642", "AMPWAVE_PKCS11_PIN_FILE": "pin", "PATH": "/bin"}
    assert role_environment(settings, shell, signer=True)["AMPWAVE_PKCS11_PIN"] == "8642"
    assert not [name for name in role_environment(settings, shell) if "PKCS11_PIN" in name]
    started = {process.name: process.environment for process in role_processes(settings, shell)}
    assert [name for name, given in started.items() if "AMPWAVE_PKCS11_PIN" in given] == ["signer"]


@pytest.mark.requirement("S54")
def test_no_process_but_the_signer_is_told_where_the_charger_authoritys_key_is(tmp_path: Path) -> None:
    settings = ensure_development_ca(Settings(_env_file=None, data_dir=tmp_path), NOW)
    assert settings.signer_ca is not None
    told = role_environment(settings, {})
    assert not any(settings.signer_ca in value for value in told.values())
    assert role_environment(settings, {}, signer=True)["AMPWAVE_SIGNER_CA"] == settings.signer_ca
    again = ensure_development_ca(Settings(_env_file=None, data_dir=tmp_path), NOW)
    assert again.signer_ca_certificate_file == settings.signer_ca_certificate_file
