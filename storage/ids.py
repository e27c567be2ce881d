"""Names of things: workflow ids, task queues and the shape of a charger's identity.

The workflow id is the lock (DESIGN section 5): any maintenance of a charger runs under
``charger/{charger_id}``, so two can never overlap and a relay needs no look-up.
"""

import re

from storage.errors import InvalidName

TASK_QUEUE = "ampwave"
SIGNER_QUEUE = "ampwave-signer"

# OCPP 2.0.1 Part 2 section 2.1, identifierString, without "/" so that it stays one path segment.
_CHARGER_ID = re.compile(r"[A-Za-z0-9*_=:+|@.\-]{1,48}")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,62}[a-z0-9])?")


def check_charger_id(text: str) -> str:
    """Return the identity unchanged, or raise InvalidName (1-48 characters of OCPP's identifierString)."""
    if not _CHARGER_ID.fullmatch(text):
        raise InvalidName("charger id", text, "1 to 48 of A-Z a-z 0-9 * _ = : + | @ . -")
    return text


def check_slug(kind: str, text: str) -> str:
    """Return a campaign, site or vendor-role name unchanged, or raise InvalidName."""
    if not _SLUG.fullmatch(text):
        raise InvalidName(kind, text, "1 to 64 lower-case letters, digits and inner hyphens")
    return text


def ceremony_workflow_id(sha256: str) -> str:
    """The publication of one ceremony file."""
    return f"ceremony/{sha256}"


def ceremony_key(sha256: str) -> str:
    """Where a ceremony file is kept in the object store, with every signature and its transcript."""
    return f"tuf/ceremonies/{sha256}.json"


def drill_key(number: int) -> str:
    """Where the result of a drill is kept in the object store."""
    return f"tuf/drills/{number:06d}.json"


def charger_workflow_id(charger_id: str) -> str:
    """The lock of one charger's maintenance, whatever its kind."""
    return f"charger/{charger_id}"


def campaign_workflow_id(campaign_id: str) -> str:
    """One campaign."""
    return f"campaign/{campaign_id}"


def wave_workflow_id(campaign_id: str, wave: int) -> str:
    """One wave of a campaign; rollback waves follow the forward ones in the numbering."""
    return f"campaign/{campaign_id}/w{wave}"


def shard_workflow_id(campaign_id: str, wave: int, shard: int) -> str:
    """One shard (at most 500 chargers) of a wave."""
    return f"campaign/{campaign_id}/w{wave}/s{shard}"


def local_image_workflow_id(campaign_id: str, wave: int, site_id: str) -> str:
    """One image at one site's local controller, for one wave."""
    return f"local/{campaign_id}/w{wave}/{site_id}"


def artifact_workflow_id(sha256: str) -> str:
    """The publication of one artifact."""
    return f"artifact/{sha256}"


def command_workflow_id(command_id: str) -> str:
    """One command of a person to one charger."""
    return f"command/{command_id}"


def configuration_workflow_id(configuration_id: str) -> str:
    """One set of values for many chargers."""
    return f"configuration/{configuration_id}"


def renewal_workflow_id(renewal_id: str) -> str:
    """New certificates for many chargers."""
    return f"renewal/{renewal_id}"


def bundle_workflow_id(bundle_id: str) -> str:
    """The making of one evidence bundle."""
    return f"bundle/{bundle_id}"


def passport_workflow_id(passport_id: str) -> str:
    """The making of one firmware passport."""
    return f"passport/{passport_id}"


def log_workflow_id(charger_id: str, request_id: int) -> str:
    """One log that a charger is asked for."""
    return f"log/{charger_id}/{request_id}"


def node_queue(node_id: str, boot_id: str) -> str:
    """A CSMS node's own task queue; new at every start, so a restart never drains its predecessor's."""
    return f"csms:{node_id}:{boot_id}"
