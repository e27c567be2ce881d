"""The whole product as ``ampwave up`` runs it, on free ports in a folder of its own, with people at work."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api import bootstrap
from api.demo.approvers import enlist_approvers
from api.demo.people import People, gather
from api.demo.workshop import Workshop
from api.embedded.engine import free_ports
from api.readiness import role_processes
from api.settings import Settings
from api.stack import Engines, prepared_engines, role_environment
from api.supervisor import RestartPolicy, RoleProcess, Supervisor
from signing.development import ensure_manufacturer
from storage.clock import system_clock


@dataclass(frozen=True)
class Stack:
    """Everything that runs, and the people who use it."""

    settings: Settings
    engines: Engines
    supervisor: Supervisor
    people: People
    workshop: Workshop
    nodes: tuple[int, ...]
    """The port of every csms node."""


@asynccontextmanager
async def whole_stack(home: Path, *, nodes: int = 1, **more: object) -> AsyncIterator[Stack]:
    """Engines with fsync as production has them, every role, so many csms nodes; ``more`` are settings."""
    api_port, *ports = free_ports(1 + nodes)
    settings = Settings(
        data_dir=home,
        api_port=api_port,
        csms_port=ports[0],
        csms_tls_port=0,
        csms_internal_port=0,
        postgres_port=0,
        s3_port=0,
        temporal_port=0,
        temporal_ui_port=0,
    ).model_copy(update=more)
    quick = RestartPolicy(longest_delay=1.0)
    async with prepared_engines(settings) as engines, Supervisor(home, policy=quick) as supervisor:
        ready = engines.settings
        await supervisor.start_all([*role_processes(ready, os.environ), *_more_nodes(ready, ports[1:])])
        await enlist_approvers(ready)
        token = ready.token_path.read_text().strip()
        people = await asyncio.to_thread(gather, ready.base_url, token, ready.keys)
        try:
            yield Stack(ready, engines, supervisor, people, _workshop(ready, home), tuple(ports))
        finally:
            people.close()


def database_of(stack: Stack) -> str:
    """Where the stack's PostgreSQL is."""
    postgres = stack.engines.postgres
    if postgres is None:
        raise RuntimeError("the bench has a database of its own")
    return postgres.url


def _workshop(settings: Settings, home: Path) -> Workshop:
    role = bootstrap.development_roles(settings)[0]
    maker = ensure_manufacturer(settings.keys, role, system_clock())
    return Workshop(maker, role, settings.keys, home, system_clock)


def _more_nodes(settings: Settings, ports: list[int]) -> list[RoleProcess]:
    found = []
    for number, port in enumerate(ports, 2):
        name = f"csms-{number}"
        own = settings.model_copy(update={"node_id": name, "csms_port": port})
        role = next(one for one in role_processes(own, os.environ) if one.name == "csms")
        command = role.command(settings.data_dir).argv
        environment = role_environment(own, os.environ)
        found.append(RoleProcess(name, environment, argv=command, ready=role.ready))
    return found
