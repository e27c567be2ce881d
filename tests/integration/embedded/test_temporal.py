"""The embedded Temporal server: our search attributes with our types, and a page only on request."""

from pathlib import Path

import httpx2
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from api.embedded.temporal import SEARCH_ATTRIBUTES, EmbeddedTemporal

pytestmark = pytest.mark.integration


async def test_search_attributes_have_our_types(
    embedded_temporal: EmbeddedTemporal, temporal_client: Client
) -> None:
    known = await temporal_client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=embedded_temporal.namespace)
    )
    types = {
        name: IndexedValueType.Name(value).removeprefix("INDEXED_VALUE_TYPE_").capitalize()
        for name, value in known.custom_attributes.items()
        if name.startswith("Ota")
    }
    assert types == SEARCH_ATTRIBUTES


async def test_without_a_page_there_is_no_address_of_one(embedded_temporal: EmbeddedTemporal) -> None:
    assert embedded_temporal.ui_url is None


async def test_the_page_answers_where_it_says(tmp_path: Path) -> None:
    async with EmbeddedTemporal(tmp_path, ui_port=0) as engine, httpx2.AsyncClient() as client:
        assert engine.ui_url is not None
        answer = await client.get(engine.ui_url)
        assert answer.status_code == 200
        assert "<html" in answer.text


async def test_another_namespace_has_the_same_attributes(tmp_path: Path) -> None:
    async with EmbeddedTemporal(tmp_path, namespace="bench") as engine:
        client = await Client.connect(engine.address, namespace="bench")
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace="bench")
        )
    assert set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)
