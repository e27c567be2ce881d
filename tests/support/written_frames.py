"""The exchanges in ``tests/frames/written``, with their canonical meaning."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csms import commands
from csms.commands import Command
from csms.dialect import Calling, Dialect
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.gateway import DIALECTS
from storage.codec import decode

FRAMES = Path(__file__).parents[1] / "frames" / "written"
SPOKEN = {
    OCPP16: ("ocpp1.6",),
    OCPP201: ("ocpp2", "ocpp2.0.1"),
    OCPP21: ("ocpp2", "ocpp2.1"),
}
COMMANDS = {kind.__name__: kind for kind in commands.Command.__args__}


@dataclass(frozen=True)
class Exchange:
    """A request, its answer, and the canonical meaning of both."""

    dialect: Dialect
    direction: str
    action: str
    request: dict[str, Any]
    answer: dict[str, Any] | None
    meaning: dict[str, Any]

    @property
    def id(self) -> str:
        return f"{self.dialect.name}-{self.meaning['id']}"

    @property
    def command(self) -> Command:
        kind = COMMANDS[self.meaning["command"]]
        return decode(kind, self.meaning["fields"])

    @property
    def calling(self) -> Calling:
        return Calling(self.meaning.get("security_extension"), lambda: 77)


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FRAMES / name).read_text().splitlines()]


def exchanges() -> Iterator[Exchange]:
    for dialect, names in SPOKEN.items():
        for name in names:
            rows = lines(f"{name}.jsonl")
            answers = {row["frame"][1]: row["frame"][2] for row in rows if row["frame"][0] == 3}
            meanings = {meaning["id"]: meaning for meaning in lines(f"{name}.meaning.jsonl")}
            for row in rows:
                kind, message_id, *rest = row["frame"]
                if kind != 3:
                    action, request = rest
                    yield Exchange(
                        DIALECTS[dialect],
                        row["dir"],
                        action,
                        request,
                        answers.get(message_id),
                        meanings[message_id],
                    )


SAID = [each for each in exchanges() if each.direction == "from_charger"]
SENT = [each for each in exchanges() if each.direction == "to_charger"]
