"""May one more charger of a site go away? Pure; asked under the site's lock, over all work (X2, X16)."""

from collections.abc import Collection, Sequence

from storage.upkeep import Downloads, Feeder, Plug, SiteRoom, SiteRules


def room_refusal(rules: SiteRules, room: SiteRoom, charger_id: str) -> str | None:
    """Why this charger must not go away as its site and its feeder stand; None: it may."""
    if problem := refusal(rules, room.plugs, room.away, charger_id):
        return problem
    if room.feeder is None or charger_id in room.away:
        return None  # Who is away already is counted: that it is worked on brings nothing more back.
    own = next((plug for plug in room.plugs if plug.charger_id == charger_id), Plug(charger_id))
    return feeder_refusal(room.feeder, own)


def refusal(rules: SiteRules, plugs: Sequence[Plug], away: Collection[str], charger_id: str) -> str | None:
    """Why this charger must not go away while those are, or None. ``plugs``: the whole site.

    A charger whose power nobody told cannot be counted, so a site that keeps a share of its power lets
    none of those go beside another: no data is never a pass.
    """
    gone = {*away, charger_id}
    share = rules.keep_power_share
    if share is not None and (problem := _power(share, plugs, gone)):
        return problem
    return _types(plugs, gone) if rules.keep_connector_types else None


def feeder_refusal(feeder: Feeder, plug: Plug) -> str | None:
    """Why a charger must not go away, lest too much load come back on its feeder at once (X4); or None.

    The limit acts when work begins, for when a charger comes back is not ours to say: it restarts by
    itself, and the next car starts at once. With all that is away, and all that came back within the last
    minute, below the cap whenever one more goes, no minute can see more than the cap: of those who
    come back in it, the one that went last found all the others away, or back for less than a minute.
    """
    others = [load for load in feeder.loads if load.charger_id != plug.charger_id]
    untold = [load.charger_id for load in (plug, *others) if load.power_kw is None]
    if untold:
        return (
            f"its feeder {feeder.name} takes {feeder.kw:g} kW back a minute, and nobody told the power of "
            f"{untold[0]} (ampwave charger describe --power)"
        )
    own, waiting = plug.power_kw or 0.0, sum(load.power_kw or 0.0 for load in others)
    if own > feeder.kw:
        return (
            f"it alone brings {own:g} kW back, and its feeder {feeder.name} takes {feeder.kw:g} kW a minute: "
            "give the feeder's sites a higher --feeder-kw"
        )
    if waiting + own > feeder.kw:
        return (
            f"its feeder {feeder.name} takes {feeder.kw:g} kW back a minute; {waiting:g} kW are away or "
            f"just back, and it brings {own:g}"
        )
    return None


def download_refusal(rules: SiteRules, others: Downloads, length: int) -> str | None:
    """Why an image of this length must not be on its way beside the others, or None."""
    if rules.max_downloads is not None and others.count >= rules.max_downloads:
        return f"{others.count} of {rules.max_downloads} downloads that its site's uplink takes are under way"
    if rules.max_download_bytes is not None and others.length + length > rules.max_download_bytes:
        return (
            f"with {length:,} bytes its site's uplink would have {others.length + length:,} under way, "
            f"and takes {rules.max_download_bytes:,}"
        )
    return None


def _power(share: float, plugs: Sequence[Plug], gone: Collection[str]) -> str | None:
    untold = [plug.charger_id for plug in plugs if plug.power_kw is None]
    if untold:
        return f"its site keeps {share * 100:g} % of its power, and nobody told the power of {untold[0]}" + (
            f" and {len(untold) - 1} more" if len(untold) > 1 else ""
        )
    total = sum(plug.power_kw or 0.0 for plug in plugs)
    left = sum(plug.power_kw or 0.0 for plug in plugs if plug.charger_id not in gone)
    if left < share * total:
        return f"its site would have {left:g} of {total:g} kW left, and keeps {share * 100:g} %"
    return None


def _types(plugs: Sequence[Plug], gone: Collection[str]) -> str | None:
    there = {kind for plug in plugs for kind in plug.connector_types}
    left = {kind for plug in plugs if plug.charger_id not in gone for kind in plug.connector_types}
    lost = sorted(there - left)
    return f"its site would have no {' and no '.join(lost)} connector left" if lost else None
