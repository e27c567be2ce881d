"""What a release must prove, by vendor and model: one file of the operator, read by the signer alone.

It pins whom we believe, so it is a file beside the keys and no row of a database. Without a file nothing is
mandatory, and still whatever is brought must hold: see ``signing/EVIDENCE.md``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from securesystemslib.signer import Key

from signing.errors import KeyUnavailable, PolicyUnreadable
from signing.keys import read_public
from signing.provenance import Builder
from signing.sbom import Sbom
from signing.strict_json import read_object
from storage.artifact import Compatible
from storage.canonical import sha256_hex
from storage.errors import InvalidInput
from storage.evidence import SUPPLIED, EvidenceKind

FORMAT = 1
ANY = "*"
_MAX_POLICY = 1024 * 1024
_MAX_EXPLOITED = 32 * 1024 * 1024
_RULE_FIELDS = {"vendor", "model", "require", "builders", "vex_keys"}
_BUILDER_FIELDS = {"id", "keys", "build_type", "external_parameters"}


def _covers(named: str, value: str) -> bool:
    return named in {ANY, value}


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """What holds for a vendor's models. ``*`` stands for any."""

    vendor: str
    model: str
    require: frozenset[EvidenceKind] = frozenset()
    builders: tuple[Builder, ...] = ()
    vex_keys: Mapping[str, Key] = field(default_factory=dict)

    def fits(self, compatible: Compatible) -> bool:
        """Whether it speaks of this model."""
        return _covers(self.vendor, compatible.vendor) and _covers(self.model, compatible.model)


@dataclass(frozen=True, slots=True)
class KnownExploited:
    """Vulnerabilities that are known to be exploited: the file that the operator brought, and its hash."""

    sha256: str
    ids: Mapping[str, frozenset[str]]
    """By id, in upper case: package URLs that it names beside; CISA's catalogue names none."""

    def in_parts(self, sbom: Sbom) -> list[str]:
        """Those that the SBOM lists itself, and those of a package that is among its parts."""
        parts = {_package(purl) for purl in sbom.purls}
        bare = {(name, "") for name, _ in parts}
        return sorted(
            name
            for name, purls in self.ids.items()
            if name in sbom.vulnerabilities or {_package(purl) for purl in purls} & (parts | bare)
        )


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    """The file as values, with the hash that a verdict names."""

    sha256: str = sha256_hex(b"")
    rules: tuple[EvidenceRule, ...] = ()
    exploited: KnownExploited | None = None

    def rules_for(self, models: Iterable[Compatible]) -> tuple[EvidenceRule, ...]:
        """The first rule that fits each model, each once; a release has to satisfy all of them."""
        found = (next((rule for rule in self.rules if rule.fits(model)), None) for model in models)
        kept: list[EvidenceRule] = []
        for rule in found:
            if rule is not None and not any(rule is other for other in kept):
                kept.append(rule)
        return tuple(kept)


def read_policy(path: Path | None) -> EvidencePolicy:
    """The policy of a file, or the one without a file. Raises PolicyUnreadable, naming what is wrong."""
    if path is None:
        return EvidencePolicy()
    try:
        data = path.read_bytes()
        raw = read_object(data, f"the evidence policy {path}", limit=_MAX_POLICY)
        unknown = set(raw) - {"format", "rules", "known_exploited"}
        if raw.get("format") != FORMAT or unknown:
            raise InvalidInput(f'It needs "format": {FORMAT}, and knows no {sorted(unknown) or "other one"}.')
        rules = tuple(_rule(one, path.parent) for one in _list(raw, "rules"))
        exploited = _exploited(path.parent / raw["known_exploited"]) if "known_exploited" in raw else None
    except (OSError, InvalidInput, KeyUnavailable) as error:
        raise _unreadable(path, error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(
            path, InvalidInput(f"A field has another shape than it should: {error}.")
        ) from error
    return EvidencePolicy(sha256_hex(data), rules, exploited)


def _unreadable(path: Path, error: Exception) -> PolicyUnreadable:
    why = error.message if isinstance(error, InvalidInput | KeyUnavailable) else str(error)
    return PolicyUnreadable(
        f"The evidence policy {path} cannot be used: {why}",
        hint="Nothing is staged until it can; mend the file that AMPWAVE_EVIDENCE_POLICY_FILE names.",
    )


def _rule(raw: dict[str, Any], folder: Path) -> EvidenceRule:
    if unknown := set(raw) - _RULE_FIELDS:
        raise InvalidInput(f"A rule has no field {min(unknown)!r}.")
    require = frozenset(EvidenceKind(one) for one in _list(raw, "require"))
    if not require <= set(SUPPLIED):
        raise InvalidInput("A rule can require sbom, provenance and vex.")
    builders = tuple(_builder(one, folder) for one in _list(raw, "builders"))
    return EvidenceRule(
        str(raw["vendor"]), str(raw["model"]), require, builders, _keys(_list(raw, "vex_keys"), folder)
    )


def _builder(raw: dict[str, Any], folder: Path) -> Builder:
    if unknown := set(raw) - _BUILDER_FIELDS:
        raise InvalidInput(f"A builder has no field {min(unknown)!r}.")
    keys = _keys(_list(raw, "keys"), folder)
    if not keys:
        raise InvalidInput(f"The builder {raw['id']!r} names no key.")
    return Builder(str(raw["id"]), keys, str(raw["build_type"]), dict(raw.get("external_parameters") or {}))


def _keys(files: list[Any], folder: Path) -> dict[str, Key]:
    found = [read_public(folder / str(name)) for name in files]
    return {key.keyid: key for key in found}


def _list(raw: dict[str, Any], name: str) -> list[Any]:
    value = raw.get(name, [])
    if not isinstance(value, list):
        raise InvalidInput(f"{name} has to be a list.")
    return value


def _exploited(path: Path) -> KnownExploited:
    """CISA's catalogue, or anything of its shape; ``purls`` beside an id name packages."""
    data = path.read_bytes()
    raw = read_object(data, f"the list of exploited vulnerabilities {path}", limit=_MAX_EXPLOITED)
    entries = raw["vulnerabilities"]
    ids = {str(one["cveID"]).upper(): frozenset(map(str, one.get("purls") or ())) for one in entries}
    return KnownExploited(sha256_hex(data), ids)


def _package(purl: str) -> tuple[str, str]:
    """Type, namespace and name of a package URL, and its version; qualifiers do not count."""
    bare = purl.partition("?")[0].partition("#")[0]
    head, slash, tail = bare.rpartition("/")
    name, _, version = tail.partition("@")
    scheme, colon, rest = unquote(f"{head}{slash}{name}").partition(":")
    kind, between, path = rest.lstrip("/").partition("/")
    return f"{scheme.lower()}{colon}{kind.lower()}{between}{path}", unquote(version)
