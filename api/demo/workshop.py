"""Where the demo's vendor works: registers its chargers, builds and signs images, has them released."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from api.demo import people as acts
from api.demo.people import People, Record
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.firmware import Script, build_image
from csms.simulator.spec import FleetSpec
from signing.development import DevelopmentManufacturer, ensure_leaf
from signing.keys import file_address
from storage.charger import SignatureScheme

IMAGE_BYTES = 192 * 1024


def register(people: People, fleet: FleetSpec, *, max_down: int = 2) -> None:
    """Tell Ampwave of every site, model and charger of a fleet."""
    sites: list[Record] = [
        {
            "site_id": site,
            "name": site.replace("-", " ").title(),
            "time_zone": "Europe/Berlin",
            "max_down": max_down,
        }
        for site in fleet.sites()
    ]
    models: list[Record] = [
        {
            "vendor": one.vendor,
            "model": one.model,
            "signature_scheme": one.scheme.value,
            "needs_reset_after_install": one.needs_reset,
            "reboot_seconds": 60,
        }
        for one in PERSONALITIES.values()
    ]
    chargers: list[Record] = [
        {
            "charger_id": charger.charger_id,
            "site_id": charger.site_id,
            "vendor": charger.character.vendor,
            "model": charger.character.model,
            "serial_number": charger.serial,
            "password": charger.password,
        }
        for charger in fleet.chargers
    ]
    acts.register_fleet(people, sites, models, chargers)


@dataclass(frozen=True, slots=True)
class Workshop:
    """A vendor with its signing certificates and the key files of the people who release."""

    manufacturer: DevelopmentManufacturer
    vendor_role: str
    keys: Path
    folder: Path
    """Where images are built."""
    now: Callable[[], datetime]

    def release(self, people: People, version: str, counter: int, script: Script) -> str:
        """Build an image, sign it as every model asks, have it released; the artifact's id."""
        image = build_image(version, size=IMAGE_BYTES, seed=counter, script=script)
        path = self.folder / f"firmware-{version}.bin"
        path.write_bytes(image)
        addresses = [
            file_address(self.keys / f"{self.vendor_role}-{who}.pem") for who in ("release", "security")
        ]
        manifest = self._manifest(image, version, counter)
        return acts.release(people, path, manifest, addresses, self.keys / "root.json")

    def _manifest(self, image: bytes, version: str, counter: int) -> Record:
        now = self.now()
        leaves = [ensure_leaf(self.keys, self.manufacturer, scheme, now) for scheme in SignatureScheme]
        signatures = [leaf.sign(image) for leaf in leaves]
        return {
            "vendor_role": self.vendor_role,
            "version": version,
            "release_counter": counter,
            "filename": "firmware.bin",
            "compatible": [{"vendor": one.vendor, "model": one.model} for one in PERSONALITIES.values()],
            "vendor_signatures": [
                {"scheme": one.scheme.value, "signature": one.signature, "certificate": one.certificate}
                for one in signatures
            ],
        }
