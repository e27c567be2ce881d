"""The small questions about one charger, answered from the view of a double."""

from storage.capability import Declared
from storage.charger import Charger, ModelProfile
from storage.glances import Glance, Manner
from storage.ports import ChargerView


class MemoryGlances:
    async def get(self, charger_id: str) -> ChargerView:
        raise NotImplementedError

    async def model(self, vendor: str, model: str) -> ModelProfile | None:
        raise NotImplementedError

    async def registered(self, charger_id: str) -> Charger:
        return (await self.get(charger_id)).charger

    async def glance(self, charger_id: str) -> Glance:
        view = await self.get(charger_id)
        return Glance(view.charger.lifecycle, view.twin.operation, view.twin.security)

    async def manner(self, charger_id: str) -> Manner:
        view = await self.get(charger_id)
        charger, twin = view.charger, view.twin
        profile = await self.model(charger.vendor, charger.model)
        return Manner(
            charger.vendor,
            charger.model,
            twin.connectivity.dialect if twin.connectivity else None,
            twin.firmware.version if twin.firmware else None,
            twin.configuration.values if twin.configuration else {},
            profile.declared if profile else Declared(),
        )
