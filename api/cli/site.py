"""``ampwave site``: places with chargers."""

from typing import Annotated

import typer

from api.cli import documents
from api.cli.downtime_views import draw_site, taking
from api.cli.errors import CliError, Record, WrongUse
from api.cli.output import Column, Screen
from api.cli.references import segment
from api.cli.session import Session, command, group
from api.downtime_words import in_days, span
from storage.upkeep import SiteRules

_WORDS = {
    "load_group": "load group",
    "group_max_down": "away at once at most",
    "limit_a": "limit in ampere",
}
_NO_ZONE = "UTC"
_MOST_CHARGERS = 10_000
app = group("Sites and how many chargers each may miss at once.")


@command(app, "add", posts=True)
def add(  # noqa: PLR0913 - typer's options are its signature
    session: Session,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Its id: lower case, digits, hyphens.")],
    name: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What people call it. [default: its id]")
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE",
            help="IANA name, as in Europe/Berlin. [default: the site's own; UTC for a new one]",
        ),
    ] = None,
    max_down: Annotated[
        int, typer.Option(min=1, metavar="N", help="Chargers away at once for maintenance.")
    ] = 1,
    kind: Annotated[
        str | None, typer.Option(metavar="WORD", help="Depot, highway ...: waves spread evenly over kinds.")
    ] = None,
    country: Annotated[
        str | None, typer.Option(metavar="CC", help="Two letters, for firmware that affects metering.")
    ] = None,
    keep_power: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of its chargers' power, what has to stay: 50%.")
    ] = None,
    keep_connectors: Annotated[
        bool, typer.Option("--keep-connectors", help="One of each type of connector has to stay.")
    ] = False,
    max_downloads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Images on their way to it at once.")
    ] = None,
    max_download_mb: Annotated[
        float | None, typer.Option(min=0.000001, metavar="MB", help="All of those together.")
    ] = None,
    uptime: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Of the time, what each charger owes: 97%.")
    ] = None,
    uptime_days: Annotated[int, typer.Option(min=1, max=366, help="Over so many days back.")] = 30,
    feeder: Annotated[
        str | None, typer.Option(metavar="NAME", help="The supply that it hangs on; sites may share one.")
    ] = None,
    feeder_kw: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="KW", help="Chargers' load that may come back on it in a minute."),
    ] = None,
    local_controller: Annotated[
        str | None, typer.Option(metavar="CHARGER", help="Fetches images once for all others there (L03).")
    ] = None,
) -> None:
    """Add a site, or change one that is there: what is left out goes back to its default.

    Its time zone stays: maintenance windows open by it.
    """
    if (feeder is None) != (feeder_kw is None):
        raise WrongUse("--feeder and --feeder-kw go together: name the supply and its cap, or neither.")
    rules = {
        "kind": kind,
        "country": country.upper() if country else None,
        "keep_power_share": _share("--keep-power", keep_power),
        "keep_connector_types": keep_connectors,
        "max_downloads": max_downloads,
        "max_download_bytes": None if max_download_mb is None else int(max_download_mb * 1_000_000),
        "uptime_floor": _share("--uptime", uptime),
        "uptime_days": uptime_days,
        # A server of before refuses words that it does not know.
        **({"feeder": feeder, "feeder_kw": feeder_kw} if feeder is not None else {}),
        **({"local_controller": local_controller} if local_controller else {}),
    }
    known = None if time_zone else _zone_of(session, site)
    body = {
        "site_id": site,
        "name": name or site,
        "time_zone": time_zone or known or _NO_ZONE,
        "max_down": max_down,
        "rules": rules,
    }
    stored = session.api.post("/sites", body)
    zone = str(stored["time_zone"]) + ("" if time_zone or known else ", as none was given (--time-zone)")
    said = f"Site {stored['site_id']}: {zone}; at most {stored['max_down']} down at once"
    more = "; ".join(_rules(_of(stored)))
    session.show(stored, lambda screen: screen.line(f"{said}{'; ' if more else ''}{more}."))


def _zone_of(session: Session, site: str) -> str | None:
    """The time zone that a site has, None: there is no such site. Its windows open by it, so it stays."""
    zones = {one["site_id"]: str(one["time_zone"]) for one in session.api.get("/sites")["items"]}
    return zones.get(site)


def _share(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = documents.number(text)
    except ValueError:
        raise WrongUse(f"{option}: {text!r} is not a share such as 0.5 or 50%.") from None
    if not 0 <= share <= 1:
        raise WrongUse(f"{option}: {text!r} is no share: write it as 0.97 or 97%.")
    return share


def _of(site: Record) -> Record:
    """Its rules; a server of before has none."""
    rules: Record = site.get("rules") or {}
    return rules


def _rules(rules: Record) -> list[str]:
    """What a site asks for, in words."""
    told = {
        "kind": "a {}",
        "country": "in {}",
        "keep_power_share": "keeps {:.0%} of its power",
        "max_downloads": "{} downloads at once",
        "max_download_bytes": "{:,} bytes on their way at once",
        "local_controller": "{} fetches images for all",
        "uptime_floor": "each charger owes {:.2%} of the time",
        "feeder": "hangs on feeder {}",
        "feeder_kw": "{:g} kW back on it a minute",
    }
    found = [text.format(rules[name]) for name, text in told.items() if rules.get(name) is not None]
    return [*found, "keeps one of each connector type"] if rules.get("keep_connector_types") else found


@command(app, "list")
def list_(session: Session) -> None:
    """List sites."""
    sites = session.api.get("/sites")["items"]
    columns = (
        Column("SITE"),
        Column("NAME", fold=True),
        Column("TIME ZONE", optional=True),
        Column("MAX DOWN", right=True),
        Column("ASKS FOR", optional=True, fold=True),
    )
    rows = [
        (one["site_id"], one["name"], one["time_zone"], str(one["max_down"]), "; ".join(_rules(_of(one))))
        for one in sites
    ]
    session.show(
        sites,
        lambda screen: screen.table(columns, rows, empty="No sites yet. Add one: ampwave site add SITE"),
    )


@command(app, "show")
def show(
    session: Session,
    site: Annotated[str, typer.Argument(metavar="SITE", help="Its id.")],
    takes: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="What an update may take, as pace.attempt_deadline. [default: 60m]"
        ),
    ] = None,
) -> None:
    """Show a site: what it asks for, and what its uptime obligation leaves each charger of planned downtime.

    Spent is the time under a lease for maintenance of ours: updates, rollbacks, certificates, restarts.
    """
    known: Record = {one["site_id"]: one for one in session.api.get("/sites")["items"]}
    found = known.get(site)
    if found is None:
        raise CliError(f"There is no site {site!r}.", hint="See them: ampwave site list.")
    path = f"/sites/{segment(site)}/downtime"
    chargers = list(session.api.pages(path, _MOST_CHARGERS, takes_s=taking(takes)))

    def draw(screen: Screen) -> None:
        rules = _of(found)
        screen.fields(
            [
                ("Site", f"{found['site_id']} ({found['name']})"),
                ("Time zone", str(found["time_zone"])),
                ("Down at once", f"{found['max_down']} at most"),
                ("Asks for", "; ".join(_rules(rules)) or "nothing else"),
                ("Uptime", _owed(rules)),
            ]
        )
        draw_site(screen, chargers)

    session.show({**found, "chargers": chargers}, draw)


def _owed(rules: Record) -> str:
    """What its floor allows."""
    floor = rules.get("uptime_floor")
    if floor is None:
        return "none is owed (ampwave site add --uptime)"
    owed = SiteRules(uptime_floor=floor, uptime_days=rules["uptime_days"])
    return f"{floor * 100:g} % of {in_days(owed.uptime_days)}, which allows {span(owed.downtime_allowed)}"


@command(app, "group")
def load_group(
    session: Session,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The name of the load group at its site.")],
    charger: Annotated[
        list[str] | None, typer.Option("--charger", metavar="CHARGER", help="A member; repeat for more.")
    ] = None,
    max_down: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Chargers of the group away at once.")
    ] = None,
    limit: Annotated[
        float | None, typer.Option("--limit", min=0, metavar="AMPERE", help="What it may draw; only kept.")
    ] = None,
    priority: Annotated[int | None, typer.Option(metavar="N", help="Of these members; only kept.")] = None,
) -> None:
    """Put chargers of a site into a load group, and bound how many of it updates may take away.

    Kept as desired configuration of each charger; none is told. The least bound that a member has counts.
    """
    if not charger:
        raise WrongUse("No charger is given.", hint="Name its members: --charger CP-1 --charger CP-2")
    limits = {"group_max_down": max_down, "limit_a": limit, "priority": priority}
    patch: Record = {"load_group": group, **{name: each for name, each in limits.items() if each is not None}}
    # All are looked at before one is changed: a group is one site's, and a wrong name changes nothing.
    sites = {name: session.api.get(f"/chargers/{segment(name)}")["site_id"] for name in charger}
    if len(set(sites.values())) > 1:
        told = ", ".join(f"{name} at {site}" for name, site in sites.items())
        raise WrongUse(f"A load group is of one site, and these are not: {told}.")
    done = []
    for name in sites:
        path = f"/chargers/{segment(name)}/desired/power"
        version = session.api.get(path)["version"]
        done.append(session.api.patch(path, patch, if_match=f'"{version}"'))

    def draw(screen: Screen) -> None:
        for one in done:
            told = ", ".join(
                f"{_WORDS.get(name, name)} {_plain(value)}" for name, value in one["desired"].items()
            )
            screen.line(f"{one['charger_id']}: {told}.")

    session.show(done, draw)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
