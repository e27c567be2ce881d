"""Personalities are data, each quirk with evidence, and together they cover what a server meets."""

import ast
from collections import Counter
from pathlib import Path

import orjson
import pytest

import csms.simulator
from csms.schemas import check_request
from csms.simulator.catalogue import EVERYBODY, PERSONALITIES
from csms.simulator.personality import Claim, Dialect, Personality
from storage.charger import SignatureScheme

FOLDER = Path(csms.simulator.__file__).parent
BY_NAME = pytest.mark.parametrize("personality", EVERYBODY.values(), ids=list(EVERYBODY))


@BY_NAME
@pytest.mark.requirement("X8")
def test_every_quirk_has_evidence_and_all_evidence_is_of_a_quirk(personality: Personality) -> None:
    assert {evidence.trait for evidence in personality.evidence} == personality.quirks()
    assert all(evidence.seen for evidence in personality.evidence)
    assert personality.quirks()


@BY_NAME
def test_names_fit_the_narrowest_dialect(personality: Personality) -> None:
    assert 0 < len(personality.vendor) <= 20
    assert 0 < len(personality.model) <= 20
    assert personality.evses in (1, 2)


@pytest.mark.requirement("F72")
def test_brands_cover_dialects_schemes_and_habits() -> None:
    people = list(PERSONALITIES.values())
    assert len({person.vendor for person in people}) >= 8
    assert len({(person.vendor, person.model) for person in people}) == len(people)
    assert min(Counter(person.dialect for person in people)[dialect] for dialect in Dialect) >= 1
    assert {person.scheme for person in people} == set(SignatureScheme)
    assert {person.claims for person in people} == {0, 1, 2}
    assert {person.claim for person in people} == set(Claim)
    assert {person.waits_for_session for person in people} == {True, False}
    assert any(person.needs_reset for person in people)


def names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {name for node in ast.walk(tree) for name in names(node)}


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_nothing_is_shared_with_the_server(path: Path) -> None:
    ours = {name for name in imports(path) if name.split(".")[0] in ("csms", "api", "signing", "activities")}
    assert all(name.startswith("csms.simulator") for name in ours)
    assert not any(name.split(".")[0] == "ocpp" for name in imports(path))


def test_only_the_catalogue_knows_brands() -> None:
    brands = [person.vendor.lower() for person in EVERYBODY.values()] + list(EVERYBODY)
    for path in FOLDER.rglob("*.py"):
        if path.parent.name != "brands":
            assert not any(brand in path.read_text("utf-8").lower() for brand in brands), path.name


FRAMES = [
    (person.dialect, evidence.frame)
    for person in EVERYBODY.values()
    for evidence in person.evidence
    if evidence.frame
]


@pytest.mark.parametrize(("dialect", "frame"), FRAMES)
def test_frames_of_the_evidence_are_messages_of_the_dialect(dialect: Dialect, frame: str) -> None:
    kind, _, action, *rest = orjson.loads(frame)
    if kind == 2:
        assert check_request(dialect.value, action, rest[0]) is None
    else:
        assert kind in (3, 4)


@pytest.mark.requirement("F70")
def test_a_brand_is_one_short_file_of_data() -> None:
    for path in (FOLDER / "brands").glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        assert len(path.read_text("utf-8").splitlines()) < 60, path.name
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.FunctionDef | ast.For)]
