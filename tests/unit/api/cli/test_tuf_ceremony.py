"""What goes wrong at a ceremony is said so that the person knows what to do; nothing is left half written."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import session
from api.cli.repository import fetch_from_folder
from api.routers import tuf
from signing.keys import ensure_key_file
from signing.ports import MAX_CEREMONY
from signing.rehearsal import ROOT_PEOPLE, TARGETS_PEOPLE, VENDOR_PEOPLE
from storage.errors import EngineUnavailable, InvalidInput, NotFound

Run = Callable[..., Any]
ENDLESS = "/dev/zero"


ONLINE = {name: f"keys/{name}.pub.json" for name in ("snapshot", "timestamp", "directive")}
KEYS = (*ROOT_PEOPLE, *TARGETS_PEOPLE, *VENDOR_PEOPLE, "snapshot", "timestamp", "directive")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in KEYS:
        ensure_key_file(folder / f"{name}.pem")
    return folder


@pytest.fixture
def prepared(run: Run, home: Path, keys: Path) -> Path:
    """A ceremony file that nobody has signed, with every key in ``keys``."""
    shutil.copytree(keys, home / "keys")
    layout(home)
    assert run("tuf", "init", "layout.yaml", "-o", "c.json").exit_code == 0
    return home / "c.json"


def layout(home: Path, **changes: Any) -> None:
    def keys(*names: str) -> dict[str, str]:
        return {name: f"keys/{name}.pub.json" for name in names}

    document = {
        "root": keys(*ROOT_PEOPLE),
        "targets": keys(*TARGETS_PEOPLE),
        "snapshot": keys("snapshot"),
        "timestamp": keys("timestamp"),
        "directive": keys("directive"),
        "vendors": {"acme": {"holders": keys("release", "security", "qa")}},
    }
    (home / "layout.yaml").write_text(json.dumps({**document, **changes}))


def sign(run: Run, file: str, who: str, *options: str) -> Any:
    return run("tuf", "sign", file, "--key", f"file2:{Path('keys').absolute()}/{who}.pem", "--yes", *options)


@pytest.mark.requirement("S15")
def test_one_signs_and_sees_what_is_missing(run: Run, prepared: Path) -> None:
    done = sign(run, "c.json", "ada")
    assert done.exit_code == 0
    assert "+ root: ada (key" in done.stderr
    assert "Signed root with key" in done.stdout
    assert "root by the holders of root 1: 1 of 2, ada" in done.stdout
    again = sign(run, "c.json", "ada")
    assert (again.exit_code, "has signed all that it can sign" in again.stderr) == (1, True)
    review = run("tuf", "review", "c.json")
    assert review.exit_code == 1
    assert "This must not be published." in review.stderr
    document = json.loads(run("tuf", "review", "c.json", "--json").stdout)
    assert [one["missing"] for one in document["signatures"]] == [1, 2, 2]
    assert document["transcript"][0]["holder"] == "ada"


@pytest.mark.requirement("S15", "S24")
def test_who_may_approve_campaigns_is_read_in_words_before_it_is_signed(
    run: Run, prepared: Path, home: Path
) -> None:
    approvers = {"Ada L.": "keys/ada.pub.json", "omar": "keys/qa.pub.json", "threshold": "2"}
    layout(home, approvers=approvers, policy={"models": []})
    assert run("tuf", "init", "layout.yaml", "-o", "with.json").exit_code == 0
    shown = run("tuf", "review", "with.json").stdout
    assert "  + approver Ada L. (key" in shown
    assert "  + approvals by approvers: 2 of 2" in shown
    written = json.loads((home / "with.json").read_bytes())["parts"]["targets"]["signed"]["x-ampwave"]
    assert {one["name"] for one in written["approvers"].values()} == {"Ada L.", "omar"}


@pytest.mark.requirement("S15")
def test_nobody_signs_without_saying_yes(run: Run, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepared.read_bytes()
    monkeypatch.setattr(session, "_somebody_is_there", lambda: True)
    address = f"file2:{Path('keys').absolute()}/ada.pem"
    assert run("tuf", "sign", "c.json", "--key", address, input="n\n").exit_code == 1
    assert prepared.read_bytes() == before


@pytest.mark.requirement("S1", "S16")
def test_combine_refuses_what_is_incomplete_or_edited(run: Run, prepared: Path, home: Path) -> None:
    sign(run, "c.json", "ada", "-o", "ada.json")
    short = run("tuf", "combine", "ada.json", "c.json", "-o", "all.json")
    assert (short.exit_code, (home / "all.json").exists()) == (1, False)
    assert "signatures are missing" in short.stderr
    assert run("tuf", "combine", "ada.json", "-o", "all.json", "--partial").exit_code == 0
    root = run("tuf", "combine", "ada.json", "-o", "x.json", "--partial", "--root-file", "root.json")
    assert (root.exit_code, (home / "root.json").exists()) == (1, False)
    document = json.loads((home / "ada.json").read_bytes())
    document["parts"]["root"]["signed"]["expires"] = "2027-01-01T00:00:00Z"
    document["transcript"] = []
    (home / "edited.json").write_text(json.dumps(document))
    edited = run("tuf", "combine", "edited.json", "-o", "y.json", "--partial")
    assert "(S16)" in edited.stderr
    other = run("tuf", "combine", "ada.json", "edited.json", "-o", "y.json")
    assert "not copies of one ceremony" in other.stderr
    assert not (home / "y.json").exists()


@pytest.mark.requirement("S1", "S2", "S5")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"root": {"ada": "keys/ada.pub.json"}}, "(S1)"),
        ({"root": {"threshold": "1", "ada": "keys/ada.pub.json"}}, "(S1)"),
        ({"root": dict.fromkeys(ROOT_PEOPLE, "keys/ada.pub.json")}, "(S2)"),
        (
            {"vendors": {"acme": {"holders": dict(ONLINE)}}},
            "(S5)",
        ),
        ({"root": {"ada": "none.pub.json"}}, "is not a public key file"),
        ({"root": {"ada": ["x"]}}, "should be a public key file"),
        ({"root": {"threshold": "many", "ada": "keys/ada.pub.json"}}, "should be a number of people"),
        ({"root": []}, "should be a mapping"),
        ({"rooot": {}}, "Did you mean root?"),
        ({"vendors": {"acme": {"keys": {}}}}, "holders is missing"),
        ({"vendors": {"acme": {"holders": {}, "manufacturer_roots": ["layout.yaml"]}}}, "layout.yaml"),
        ({"vendors": {"Ac me": {"holders": {"a": "keys/ada.pub.json"}}}}, "not a valid vendor role"),
        ({"root": {"Ada L": "keys/ada.pub.json"}}, "not a valid key holder"),
        ({"policy": []}, "should be a mapping"),
        ({"policy": {"directive_keys": {}}}, "cannot say directive_keys: directive in the layout does"),
        ({"policy": {"approvers": {}}}, "cannot say approvers"),
        ({"approvers": {"ada": "none.pub.json"}}, "is not a public key file"),
        ({"approvers": {"ada": "keys/ada.pub.json", "threshold": "2"}}, "2 approvals of 1 people"),
        ({"approvers": dict.fromkeys(("ada", "omar"), "keys/ada.pub.json")}, "(S2)"),
        ({"approvers": {"omar": "keys/timestamp.pub.json"}}, "(S5)"),
        ({"approvers": {"omar\n  = 9 releases as before": "keys/ada.pub.json"}}, "no screen shows"),
    ],
)
def test_a_layout_that_does_not_hold_is_told_line_by_line(
    run: Run, prepared: Path, home: Path, changes: dict[str, Any], said: str
) -> None:
    layout(home, **changes)
    result = run("tuf", "init", "layout.yaml", "-o", "bad.json")
    assert result.exit_code in {1, 2}
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (home / "bad.json").exists()


@pytest.mark.parametrize("command", [("review", ENDLESS), ("status", "--root", ENDLESS, "--dir", ".")])
def test_a_file_without_an_end_is_refused_and_not_read_to_it(run: Run, command: tuple[str, ...]) -> None:
    result = run("tuf", *command)
    assert result.exit_code == 1, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.requirement("S20")
async def test_a_root_in_a_folder_that_cannot_be_read_is_not_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "2.root.json").mkdir()
    (tmp_path / "3.root.json").symlink_to("3.root.json")
    (tmp_path / "4.root.json").write_bytes(b"x" * 9)
    fetch = fetch_from_folder(tmp_path)
    for name in ("2.root.json", "3.root.json"):
        with pytest.raises(EngineUnavailable):
            await fetch(name, 8)
    with pytest.raises(InvalidInput):
        await fetch("4.root.json", 8)
    with pytest.raises(NotFound):
        await fetch("5.root.json", 8)


def test_a_policy_is_not_changed_with_development_keys_that_are_made_for_it(run: Run, home: Path) -> None:
    """On a machine of production it would leave a second root and people's keys beside the signer's."""
    before = sorted(home.rglob("*.pem"))
    result = run("tuf", "policy", "--threshold", "2")
    assert (result.exit_code, "People sign this" in result.stderr) == (2, True), result.stderr
    assert sorted(home.rglob("*.pem")) == before


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("tuf", "sign", "none.json", "--key", "file2:/x"), 2, "cannot be read"),
        (("tuf", "sign", "layout.yaml", "--key", "file2:/x"), 1, "no ceremony file"),
        (("tuf", "sign", "c.json", "--key", "file2:/x", "--yes"), 1, "There is no key at /x"),
        (("tuf", "sign", "c.json", "--key", "rubbish", "--yes"), 1, "key"),
        (("tuf", "init", "layout.yaml", "-o", "none/c.json"), 2, "cannot be written"),
        (("tuf", "publish", "c.json", "--url", "http://127.0.0.1:1"), 3, "does not answer"),
        (("tuf", "restore", "c.json"), 2, "is no backup"),
        (("tuf", "rotate", "layout.yaml", "-o", "n.json", "--root", "none.json"), 2, "no trusted root"),
        (("tuf", "rotate", "layout.yaml", "-o", "n.json", "--root", "c.json", "--dir", "."), 1, "metadata"),
        (("tuf", "drill"), 2, "Name one drill"),
        (("tuf", "drill", "lost"), 2, "There is no drill"),
        (("tuf", "drill", "lost-root-key"), 2, "no bucket"),
    ],
)
def test_wrong_use_is_answered_in_words(
    run: Run, prepared: Path, command: tuple[str, ...], code: int, said: str
) -> None:
    result = run(*command)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr


def test_the_api_takes_no_longer_file_than_we_read() -> None:
    assert tuf.MAX_CEREMONY == MAX_CEREMONY
