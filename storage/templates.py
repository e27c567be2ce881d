"""Configuration templates: typed parameters and a site's limits in, variables out. Pure (F52, F67)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

SITE_PREFIX = "site."
_PLACE = re.compile(r"\{([a-z][a-z0-9_.]{0,60})\}")
_DIALECTS = {"ocpp1.6": "ocpp16", "ocpp2.0.1": "ocpp2", "ocpp2.1": "ocpp2"}


class ParameterType(StrEnum):
    """What a parameter may be."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a template. ``site.NAME`` comes from the site and is never given by hand."""

    name: str
    type: ParameterType = ParameterType.TEXT
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """What a charger is to be set to, by the generation of its protocol; what has to be attested of it."""

    name: str
    parameters: tuple[Parameter, ...] = ()
    ocpp16: Mapping[str, str] = field(default_factory=dict)
    ocpp2: Mapping[str, str] = field(default_factory=dict)
    attestations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """The values to set, or everything that stands in the way."""

    values: Mapping[str, str]
    problems: tuple[str, ...] = ()


def template_problems(template: Template) -> list[str]:
    """What is wrong with a template in itself."""
    names = [each.name for each in template.parameters]
    problems = [f"parameters: {name} is there twice" for name in sorted(set(names)) if names.count(name) > 1]
    for side in ("ocpp16", "ocpp2"):
        for variable, text in getattr(template, side).items():
            unknown = sorted(set(_PLACE.findall(text)) - set(names))
            problems += [f"{side}.{variable}: there is no parameter {name}" for name in unknown]
            if ("{" in _PLACE.sub("", text)) or ("}" in _PLACE.sub("", text)):
                problems.append(f"{side}.{variable}: {text} has a brace that closes nothing")
    for each in template.parameters:
        if each.default is not None and (problem := _misfit(each, each.default)):
            problems.append(f"parameters.{each.name}: its default {problem}")
    return problems


def render(
    template: Template,
    dialect: str,
    given: Mapping[str, str],
    site: Mapping[str, str] | None,
    known: Mapping[str, str] | None,
) -> Rendered:
    """The variables for one charger; ``known``: what it reported, None: it was never read."""
    inputs, problems = _inputs(template, given, site)
    side = _DIALECTS.get(dialect)
    if side is None:
        problems.append(f"the template says nothing about {dialect}")
        return Rendered({}, tuple(problems))
    wanted: Mapping[str, str] = getattr(template, side)
    if known is None and wanted:
        problems.append("what it can be set to is not known: it was never read")
    elif known is not None:
        lacking = sorted(name for name in wanted if name not in known)
        problems += [f"this charger has no {name}" for name in lacking]
    if problems:
        return Rendered({}, tuple(problems))
    return Rendered({name: _PLACE.sub(lambda m: inputs[m[1]], text) for name, text in wanted.items()})


def _inputs(
    template: Template, given: Mapping[str, str], site: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    inputs: dict[str, str] = {}
    names = {each.name for each in template.parameters}
    problems = [
        f"{name}: the template {template.name} has no such parameter" for name in sorted(set(given) - names)
    ]
    for each in template.parameters:
        of_site = each.name.startswith(SITE_PREFIX)
        source = site or {} if of_site else given
        value = source.get(each.name.removeprefix(SITE_PREFIX), each.default)
        if of_site and each.name in given:
            problems.append(f"{each.name}: it comes from the site, and is never given by hand")
        if value is None:
            where = "nobody said it of the site" if of_site else "it is not given"
            problems.append(f"{each.name}: {where}")
        elif problem := _misfit(each, value):
            problems.append(f"{each.name}: {problem}")
        else:
            inputs[each.name] = value
    return inputs, problems


def _misfit(each: Parameter, value: str) -> str:
    if each.choices and value not in each.choices:
        return f"is {value!r}, and not one of {', '.join(each.choices)}"
    if each.type is ParameterType.BOOLEAN:
        return "" if value in ("true", "false") else f"is {value!r}, and not true or false"
    if each.type is ParameterType.TEXT:
        return "" if len(value) <= 500 and value.isprintable() else "is too long, or cannot be printed"
    whole = each.type is ParameterType.INTEGER
    if not re.fullmatch(r"-?[0-9]{1,12}" if whole else r"-?[0-9]{1,12}(\.[0-9]{1,6})?", value):
        return f"is {value!r}, and no {each.type.value}"
    number = float(value)
    if each.minimum is not None and number < each.minimum:
        return f"is {value}, below {each.minimum:g}"
    if each.maximum is not None and number > each.maximum:
        return f"is {value}, above {each.maximum:g}"
    return ""
