"""A make of chargers beside the simulated fleet: registered, and with releases of its own."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Make:
    """One vendor's models, one charger of each; both by the model's name."""

    vendor: str
    site_id: str
    schemes: dict[str, str]
    """Model to signature scheme."""

    def charger_id(self, model: str) -> str:
        """The charger of a model."""
        return f"{self.site_id}-{model}"

    async def register(self, stack: Any) -> dict[str, str]:
        """A site with a charger of every model; their passwords by model."""
        from api.demo.people import register_fleet

        passwords = {model: secrets.token_hex(16) for model in self.schemes}
        site = {"site_id": self.site_id, "name": self.site_id, "time_zone": "Europe/Berlin", "max_down": 9}
        models = [
            {"vendor": self.vendor, "model": model, "signature_scheme": scheme, "reboot_seconds": 60}
            for model, scheme in self.schemes.items()
        ]
        chargers = [
            {
                "charger_id": self.charger_id(model),
                "site_id": self.site_id,
                "vendor": self.vendor,
                "model": model,
                "password": passwords[model],
            }
            for model in self.schemes
        ]
        await asyncio.to_thread(register_fleet, stack.people, [site], models, chargers)
        return passwords

    async def release(self, stack: Any, image: bytes, version: str) -> str:
        """Have an image for these models signed, reviewed and released; the artifact's id."""
        from api.demo import people as acts
        from signing.keys import file_address

        shop = stack.workshop
        stack.releases += 1
        path = shop.folder / f"{self.site_id}-{version}.bin"
        path.write_bytes(image)
        keys = [file_address(shop.keys / f"{shop.vendor_role}-{who}.pem") for who in ("release", "security")]
        manifest = self._manifest(stack, image, version)
        root = shop.keys / "root.json"
        return await asyncio.to_thread(acts.release, stack.people, path, manifest, keys, root)

    def _manifest(self, stack: Any, image: bytes, version: str) -> dict[str, Any]:
        from signing.development import ensure_leaf
        from storage.charger import SignatureScheme
        from storage.clock import system_clock

        shop = stack.workshop
        schemes = [SignatureScheme(scheme) for scheme in sorted(set(self.schemes.values()))]
        leaves = [ensure_leaf(shop.keys, shop.manufacturer, scheme, system_clock()) for scheme in schemes]
        return {
            "vendor_role": shop.vendor_role,
            "version": version,
            "release_counter": 100 + stack.releases,
            "filename": "firmware.bin",
            "compatible": [{"vendor": self.vendor, "model": model} for model in self.schemes],
            "vendor_signatures": [
                {"scheme": one.scheme.value, "signature": one.signature, "certificate": one.certificate}
                for one in (leaf.sign(image) for leaf in leaves)
            ],
        }

    async def roll_out(self, stack: Any, artifact_id: str, *models: str) -> str:
        """A campaign of one wave over these models' chargers, or all of them; its id."""
        chosen = [self.charger_id(model) for model in models or self.schemes]
        return str(
            await stack.start_campaign(
                artifact_id,
                [{"name": "all", "share": 1.0}],
                name=f"{self.vendor} {artifact_id[:8]} {' '.join(models)}",
                targets={"vendor": self.vendor, "charger_ids": chosen},
                gate={"min_attempts": 1, "hold_seconds": 2, "max_looks": 15},
            )
        )
