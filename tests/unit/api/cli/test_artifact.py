"""Upload, look, wait and sign, as a person at a terminal sees it."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import pytest

from api.cli.artifact import release
from api.cli.errors import CliError
from api.cli.session import Session

IMAGE = b"firmware 1.1.0"
SHA = hashlib.sha256(IMAGE).hexdigest()
ID = "ab" * 32
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def image(home: Path) -> Path:
    (home / "fw.bin").write_bytes(IMAGE)
    (home / "fw.sig").write_bytes(b"\x30\x45\x02\x21\xf1\x9c")
    (home / "fw.b64").write_text("c2lnbmF0\ndXJl\n")
    (home / "vendor.pem").write_text(PEM)
    return home / "fw.bin"


def _manifest_of(request: Any) -> Any:
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + request.body, policy=HTTP).iter_parts()
    [found] = [one for one in parts if one.get_param("name", header="content-disposition") == "manifest"]
    return json.loads(found.get_payload(decode=True))


def test_upload_with_flags(run: Any, fake: Any, sample: Any, image: Path) -> None:
    fake.on("POST", "/artifacts", (201, sample.artifact("uploaded")))
    result = run(
        *("artifact", "upload", "fw.bin", "--role", "acme", "--version", "1.1.0", "--counter", "11"),
        *("--model", "Acme/AC22", "--model", "Acme/AC50"),
        *("--signature", "ecdsa-p256:fw.sig:vendor.pem", "--signature", "rsa-pss-sha256:fw.b64:vendor.pem"),
    )
    assert result.exit_code == 0, result.output
    request = fake.last("POST", "/artifacts")
    assert IMAGE in request.body
    assert _manifest_of(request) == {
        "vendor_role": "acme",
        "version": "1.1.0",
        "release_counter": 11,
        "compatible": [{"vendor": "Acme", "model": "AC22"}, {"vendor": "Acme", "model": "AC50"}],
        "vendor_signatures": [
            {
                "scheme": "ecdsa-p256-sha256",
                "signature": base64.b64encode(b"\x30\x45\x02\x21\xf1\x9c").decode(),
                "certificate": PEM,
            },
            {"scheme": "rsa-pss-sha256", "signature": "c2lnbmF0dXJl", "certificate": PEM},
        ],
        "sha256": SHA,
        "filename": "fw.bin",
    }
    assert "ampwave artifact release acme/1.1.0 --wait" in result.stdout


def test_upload_with_a_manifest(run: Any, fake: Any, sample: Any, image: Path) -> None:
    from api.schemas.artifacts import ManifestBody

    fake.on("POST", "/artifacts", (201, sample.artifact("uploaded")))
    example = Path(__file__).parents[4] / "deploy/examples/manifest.json"
    result = run("artifact", "upload", "fw.bin", "--manifest", str(example), "--json")
    assert result.exit_code == 0, result.output
    sent = _manifest_of(fake.last("POST", "/artifacts"))
    assert sent["filename"] == "ac22-1.1.0.bin"
    sent["vendor_signatures"][0]["signature"] = "c2ln"
    assert ManifestBody.model_validate(sent).compatible[0].hardware_revisions == ("A", "B")
    assert json.loads(result.stdout)["artifact_id"] == ID


def test_a_version_stays_as_written(run: Any, fake: Any, sample: Any, image: Path) -> None:
    fake.on("POST", "/artifacts", (201, sample.artifact("uploaded")))
    (image.parent / "m.yaml").write_text(
        "vendor_role: acme\nversion: 1.10\nrelease_counter: 3\ncompatible: [{vendor: A, model: B}]\n"
    )
    run("artifact", "upload", "fw.bin", "--manifest", "m.yaml")
    assert _manifest_of(fake.last("POST", "/artifacts"))["version"] == "1.10"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fw.bin"], "--role is missing."),
        (["none.bin", "--manifest", "m.json"], "No such file"),
        (["empty.bin", "--manifest", "m.json"], "empty.bin is empty"),
        (["fw.bin", "--manifest", "m.json", "--role", "x"], "not both"),
        (["fw.bin", "--manifest", "wrong.json"], "is not the file of this manifest"),
        (["fw.bin", "--manifest", "bad.json"], "line 1, colour: is not a field here"),
        (["fw.bin", "--manifest", "bad.json"], "release_counter: should be a whole number"),
        (["fw.bin", "--manifest", "bad.json"], "compatible is missing"),
    ],
)
def test_what_cannot_be_uploaded_is_never_sent(
    run: Any, fake: Any, image: Path, arguments: list[str], said: str
) -> None:
    home = image.parent
    good = {"vendor_role": "acme", "version": "1", "release_counter": 1, "compatible": []}
    (home / "empty.bin").touch()
    (home / "m.json").write_text(json.dumps(good))
    (home / "wrong.json").write_text(json.dumps({**good, "sha256": "00" * 32}))
    (home / "bad.json").write_text(
        '{"colour": 1, "vendor_role": "a", "version": "1", "release_counter": "x"}'
    )
    result = run("artifact", "upload", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert fake.seen == []


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("fw.sig", "is not SCHEME:SIGFILE:CERTFILE"),
        ("ed25519:fw.sig:vendor.pem", "is not a signature scheme"),
        ("rsa-pss:none:vendor.pem", "none cannot be read"),
        ("rsa-pss:fw.sig:fw.sig", "is not a PEM certificate"),
    ],
)
def test_a_vendor_signature_has_to_make_sense(run: Any, image: Path, signature: str, said: str) -> None:
    given = ["--role", "a", "--version", "1", "--counter", "1", "--model", "A/B", "--signature", signature]
    result = run("artifact", "upload", "fw.bin", *given)
    assert result.exit_code == 2
    assert said in result.stderr


def test_list(run: Any, fake: Any, sample: Any) -> None:
    fake.page("/artifacts", [sample.artifact(), sample.artifact("rejected", version="1.2.0")])
    result = run("artifact", "list")
    assert "acme/1.1.0" in result.stdout
    assert "rejected" in result.stdout
    assert "4.2 MB" in result.stdout
    assert json.loads(run("artifact", "list", "--json").stdout)[1]["version"] == "1.2.0"


def test_an_empty_list_says_what_to_do(run: Any, fake: Any) -> None:
    fake.page("/artifacts", [])
    assert run("artifact", "list").stdout == (
        "No artifacts yet. Upload one: ampwave artifact upload FILE --manifest FILE\n"
    )
    assert run("artifact", "list", "--json").stdout == "[]\n"


def test_a_listing_follows_its_pages(run: Any, fake: Any, sample: Any) -> None:
    first = {"items": [sample.artifact(version="1")], "next_cursor": "c1"}
    second = {"items": [sample.artifact(version="2")], "next_cursor": None}
    fake.on("GET", "/artifacts", (200, first), (200, second))
    assert len(json.loads(run("artifact", "list", "--json").stdout)) == 2
    assert fake.seen[-1].query["cursor"] == ["c1"]


@pytest.mark.parametrize("reference", ["acme/1.1.0", "ababab", ID])
def test_show_finds_it_by_name_or_id(run: Any, fake: Any, sample: Any, reference: str) -> None:
    fake.page("/artifacts", [sample.artifact(), sample.artifact(artifact_id="cc" * 32, version="2")])
    fake.on("GET", f"/artifacts/{ID}", (200, sample.artifact("awaiting_signatures")))
    fake.on("GET", f"/artifacts/{ID}/staged", (200, sample.staged()))
    result = run("artifact", "show", reference)
    assert result.exit_code == 0, result.output
    assert "1 of 2: grace" in result.stdout
    assert "Acme/AC22 (rev. A)" in result.stdout
    assert "ampwave artifact sign acme/1.1.0 --key" in result.stdout


def test_a_name_that_fits_none_or_several_is_said(run: Any, fake: Any, sample: Any) -> None:
    fake.page("/artifacts", [sample.artifact(), sample.artifact(artifact_id="ab" * 31 + "cc", version="2")])
    assert "There is no artifact 'acme/9'" in run("artifact", "show", "acme/9").stderr
    assert "fits 2 artifacts" in run("artifact", "show", "ababab").stderr


def test_a_version_means_the_image_that_was_not_rejected(run: Any, fake: Any, sample: Any) -> None:
    fake.page("/artifacts", [sample.artifact("rejected", artifact_id="cc" * 32), sample.artifact("released")])
    fake.on("GET", f"/artifacts/{ID}", (200, sample.artifact("released")))
    assert run("artifact", "show", "acme/1.1.0").exit_code == 0


def test_release_waits_for_the_people(run: Any, fake: Any, sample: Any) -> None:
    waiting, done = sample.artifact("awaiting_signatures"), sample.artifact("released")
    fake.on("GET", f"/artifacts/{ID}", (200, waiting), (200, waiting), (200, done))
    fake.on("GET", f"/artifacts/{ID}/staged", (200, sample.staged(signed_by=[])), (200, sample.staged()))
    result = run("artifact", "release", ID, "--wait")
    assert result.exit_code == 0
    step = "Sign it with your own key: ampwave artifact sign acme/1.1.0 --key file2:PATH"
    assert result.stderr.splitlines() == [
        "Waiting for up to 1 h (--timeout). To stop waiting, press Ctrl-C.",
        f"acme/1.1.0: awaiting signatures. signed by 0 of 2: nobody yet. {step}",
        f"acme/1.1.0: awaiting signatures. signed by 1 of 2: grace. {step}",
    ]
    assert "released" in result.stdout


@pytest.mark.usefixtures("run")
def test_release_says_again_what_it_waits_for_and_gives_up(
    fake: Any, sample: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [datetime(2026, 11, 20, 12, tzinfo=UTC)]
    monkeypatch.setattr(Session, "pause", lambda _self, _s: now.append(now.pop() + timedelta(minutes=1)))
    fake.on("GET", f"/artifacts/{ID}", (200, sample.artifact("awaiting_signatures")))
    fake.on("GET", f"/artifacts/{ID}/staged", (200, sample.staged(signed_by=[])))
    session = Session(clock=lambda: now[0])
    with pytest.raises(CliError) as refused:
        release(session, ID, wait=True, timeout=720)
    assert refused.value.hint == "Nobody waits for it any more, after 12 min (--timeout)."
    told = [each for each in capsys.readouterr().err.splitlines() if each.startswith("acme/1.1.0: awaiting")]
    assert len(told) == 3, "at once, after 5 and after 10 minutes"
    with pytest.raises(CliError) as refused:
        release(session, ID, wait=False, timeout=720)
    assert refused.value.hint == "", "nobody waited"


def test_release_ends_with_1_when_it_was_rejected(run: Any, fake: Any, sample: Any) -> None:
    fake.on("GET", f"/artifacts/{ID}", (200, sample.artifact("rejected", reason="The signature is broken.")))
    result = run("artifact", "release", ID, "--wait")
    assert result.exit_code == 1
    assert "acme/1.1.0 is not released: rejected. The signature is broken." in result.stderr


def test_import_names_the_address_and_what_it_is(run: Any, fake: Any, sample: Any, home: Path) -> None:
    fake.on("POST", "/imports", (201, sample.artifact("uploaded")))
    url = "https://downloads.acme.example/fw.bin"
    result = run(
        *("artifact", "import", url, "--role", "acme", "--version", "1.1.0", "--counter", "11"),
        *("--model", "Acme/AC22", "--sha256", SHA.upper()),
    )
    assert result.exit_code == 0, result.output
    body = json.loads(fake.last("POST", "/imports").body)
    assert body["url"] == url
    assert body["manifest"]["sha256"] == SHA
    assert "Imported" in result.output
    assert "ampwave artifact release" in result.output


def test_an_import_that_is_refused_says_every_problem(run: Any, fake: Any, home: Path) -> None:
    problems = ["url: 10.0.0.7 is not a public address"]
    fake.refuse("POST", "/imports", 422, title="This address is not fetched.", problems=problems)
    result = run(
        *("artifact", "import", "https://10.0.0.7/fw", "--role", "acme", "--version", "1", "--counter", "1"),
        *("--model", "Acme/AC22"),
    )
    assert result.exit_code == 1
    assert problems[0] in result.output
