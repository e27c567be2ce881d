import base64
from pathlib import Path

import pytest

from api.settings import Settings
from api.settings_check import problems


@pytest.fixture(autouse=True)
def _no_shell_settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_the_defaults_hold():
    assert problems(Settings()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"s3_endpoint": "http://127.0.0.1:1"}, "AMPWAVE_S3_ACCESS_KEY, AMPWAVE_S3_SECRET_KEY"),
        ({"database_url": "sqlite:///x"}, "must begin with postgresql://"),
        ({"temporal_address": "temporal"}, "must be host:port"),
        ({"public_url": "ampwave.example"}, "must begin with http"),
        ({"public_url": "https://" + "a" * 420}, "at most 512"),
        ({"csms_port": 8080}, "ports must differ"),
        ({"payload_key_file": "nowhere.key"}, "nowhere.key does not exist"),
        ({"csms_tls_cert_file": "csms.pem"}, "needs its key"),
        ({"csms_charger_ca_files": ("ca.pem",)}, "needs AMPWAVE_CSMS_TLS_CERT_FILE"),
        ({"csms_crl_files": ("a.crl",)}, "says nothing without"),
        ({"csms_ocsp_url": "ldap://x"}, "must begin with http"),
        ({"csms_tls_cert_file": "no.pem", "csms_tls_key_file": "no.key"}, "no.pem cannot be read"),
        ({"trusted_root_file": "root.json"}, "AMPWAVE_TRUSTED_ROOT_FILE"),
    ],
)
def test_each_mistake_is_named(given, words):
    [found] = problems(Settings(**given))
    assert words in found


@pytest.mark.requirement("S42", "S46")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"public_url": "http://ampwave.example"}, "UNSAFE_PLAIN_HTTP_FOR_ALL"),
        ({"unsafe_plain_http_url": "https://ampwave.example"}, "must begin with http://"),
        ({"unsafe_plain_http_url": "http://firmware:secret@ampwave.example"}, "no user name"),
        ({"public_url": "https://shared:secret@ampwave.example"}, "no user name"),
        ({"unsafe_plain_http_url": "ftp://ampwave.example"}, "or FTP"),
    ],
)
def test_what_crosses_a_network_openly_or_by_a_shared_password_is_named(given, words):
    found = problems(Settings(**given))
    assert any(words in one for one in found)
    assert "secret" not in str(found)


@pytest.mark.requirement("S42")
def test_an_s3_service_elsewhere_needs_tls():
    keys = {"s3_access_key": "a", "s3_secret_key": "b"}
    elsewhere = {"s3_endpoint": "http://s3.example:9000", **keys}
    assert "AMPWAVE_UNSAFE_PLAIN_HTTP_S3" in problems(Settings(**elsewhere))[0]
    assert problems(Settings(**elsewhere, unsafe_plain_http_s3=True)) == []
    assert problems(Settings(s3_endpoint="https://s3.example", **keys)) == []
    assert problems(Settings(s3_endpoint="http://127.0.0.1:8333", **keys)) == []


def test_a_good_key_file_is_no_problem(tmp_path):
    path = tmp_path / "payload.key"
    path.write_text(base64.b64encode(bytes(32)).decode())
    assert problems(Settings(payload_key_file=path)) == []


@pytest.mark.requirement("S64")
def test_addresses_of_keys_are_looked_at_before_the_signer_starts(tmp_path: Path) -> None:
    def said(**given: object) -> str:
        return " ".join(problems(Settings(data_dir=tmp_path, **given)))  # type: ignore[arg-type]

    assert said(signer_snapshot="file2:/a.pem", signer_timestamp="awskms:alias/x") == ""
    assert "AMPWAVE_SIGNER_SNAPSHOT and AMPWAVE_SIGNER_DIRECTIVE are one key" in said(
        signer_snapshot="awskms:alias/x", signer_directive="awskms:alias/x"
    )
    assert "AMPWAVE_SIGNER_DIRECTIVE and AMPWAVE_SIGNER_RECORD are one key" in said(
        signer_record="awskms:alias/x", signer_directive="awskms:alias/x"
    )
    token = said(signer_timestamp="hsm:2?label=ampwave", pkcs11_module=tmp_path / "nothing.so")
    assert "AMPWAVE_PKCS11_MODULE" in token
    assert "AMPWAVE_PKCS11_PIN_FILE" in token
    wrong = said(signer_directive="hsm:2?pin=8642")
    assert "AMPWAVE_SIGNER_DIRECTIVE: This hsm: address says more" in wrong
    assert "8642" not in wrong
