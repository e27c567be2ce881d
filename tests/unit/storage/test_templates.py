import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.asset_rules import asset_problems, missing
from storage.provisioning import Asset, ConnectorPlan, LinkClass
from storage.templates import Parameter, ParameterType, Template, render, template_problems

LIMIT = Parameter("site.supply_limit_a", ParameterType.INTEGER, minimum=6, maximum=400)
VALUES = {"Limit": "{site.supply_limit_a} A", "N": "{name}"}
DEPOT = Template("depot", (LIMIT, Parameter("name", default="x")), VALUES)
SITE, KNOWN = {"supply_limit_a": "63"}, {"Limit": "", "N": ""}
PLUG = ConnectorPlan(1, 1, "x", 32, 22)


@pytest.mark.requirement("F52", "F67")
def test_values_come_from_the_site_and_from_what_is_given() -> None:
    told = render(DEPOT, "ocpp1.6", {"name": "bay 1"}, SITE, KNOWN)
    assert told.values == {"Limit": "63 A", "N": "bay 1"}


@pytest.mark.requirement("F52", "F67")
@pytest.mark.parametrize(
    ("given", "site", "known", "words"),
    [
        ({}, None, KNOWN, "nobody said it of the site"),
        ({}, {"supply_limit_a": "1000"}, KNOWN, "above 400"),
        ({}, {"supply_limit_a": "1"}, KNOWN, "below 6"),
        ({}, {"supply_limit_a": "many"}, KNOWN, "no integer"),
        ({"site.supply_limit_a": "9"}, SITE, KNOWN, "never given by hand"),
        ({"other": "9"}, SITE, KNOWN, "no such parameter"),
        ({}, SITE, {"Limit": ""}, "this charger has no N"),
        ({}, SITE, None, "never read"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_set(
    given: dict[str, str], site: dict[str, str] | None, known: dict[str, str] | None, words: str
) -> None:
    told = render(DEPOT, "ocpp1.6", given, site, known)
    assert not told.values
    assert words in " ".join(told.problems)
    assert render(DEPOT, "ocpp9", {}, SITE, KNOWN).problems


@given(
    st.dictionaries(st.sampled_from(["name", "site.supply_limit_a", "x"]), st.text(max_size=20), max_size=3),
    st.none() | st.dictionaries(st.sampled_from(["supply_limit_a", "y"]), st.text(max_size=8), max_size=2),
    st.none() | st.dictionaries(st.sampled_from(["Limit", "N"]), st.just(""), max_size=2),
)
def test_rendering_never_leaves_a_place_open(
    given: dict[str, str], site: dict[str, str] | None, known: dict[str, str] | None
) -> None:
    told = render(DEPOT, "ocpp1.6", given, site, known)
    assert bool(told.values) != bool(told.problems)
    if told.values:
        assert 6 <= int(told.values["Limit"].removesuffix(" A")) <= 400


def test_a_template_that_cannot_work_is_refused() -> None:
    flag = Parameter("n", ParameterType.BOOLEAN, default="maybe")
    told = " ".join(template_problems(Template("bad", (LIMIT, LIMIT, flag), {"A": "{nobody}", "B": "{"})))
    for words in ("twice", "no parameter nobody", "a brace", "not true or false"):
        assert words in told
    assert template_problems(DEPOT) == []


@pytest.mark.requirement("F59")
@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (ConnectorPlan(0, 1, "x", 32, 22), "counted from 1"),
        (ConnectorPlan(1, 1, "x", 0, 22), "0 A"),
        (ConnectorPlan(1, 1, "x", 32, 5000), "5000 kW"),
        (ConnectorPlan(1, 1, "x", 1, 500), "do not come out"),
        (ConnectorPlan(1, 1, "x", float("nan"), 22), "nan A"),
    ],
)
def test_impossible_connectors_are_refused(plan: ConnectorPlan, words: str) -> None:
    assert words in " ".join(asset_problems(Asset(connectors=(plan,))))


@pytest.mark.requirement("F55")
def test_a_sims_number_has_to_add_up() -> None:
    good = [f"894450000000000000{digit}" for digit in range(10)]
    assert sum(not asset_problems(Asset(iccid=each)) for each in good) == 1


@pytest.mark.requirement("F66")
def test_what_nobody_said_is_listed() -> None:
    assert "address" in missing(Asset())
    assert "iccid" not in missing(Asset())
    assert "iccid" in missing(Asset(link_class=LinkClass.CELLULAR))
    whole = Asset("Quay 1", "Ida", "2026-11-25", LinkClass.WIRED, meter_serial="M", connectors=(PLUG,))
    assert (missing(whole), asset_problems(whole)) == ((), [])
