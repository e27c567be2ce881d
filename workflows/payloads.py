"""Payloads as JSON of dataclasses, enums and instants; how a type is read is worked out once in a process.

The SDK makes a converter for every workflow. Its own one would build its validators anew each time, a
millisecond of processor for each charger that is updated.
"""

from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
)

_TYPES = 512
"""More than all workflows and activities have together; tests make types anew in each sandbox."""
_JSON = PydanticJSONPlainPayloadConverter(max_cached_type_adapters=_TYPES)


class SharedConverter(CompositePayloadConverter):
    """As ``temporalio.contrib.pydantic`` has it, byte for byte, with one set of validators for all."""

    def __init__(self) -> None:
        """Nothing to give: the SDK calls it."""
        default = DefaultPayloadConverter.default_encoding_payload_converters
        super().__init__(*(_JSON if isinstance(one, JSONPlainPayloadConverter) else one for one in default))


DATA_CONVERTER = DataConverter(payload_converter_class=SharedConverter)
"""``api`` adds the encrypting codec."""
