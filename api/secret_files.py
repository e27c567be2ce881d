"""Secrets from files: ``AMPWAVE_DATABASE_URL_FILE=/run/secrets/database_url`` sets ``database_url``.

Containers mount secrets as files; an environment variable would show in every listing of processes.
"""

import os
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class SecretFiles(PydanticBaseSettingsSource):
    """Reads each secret field from the file that its variable with ``_FILE`` behind it names."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._prefix = str(settings_cls.model_config.get("env_prefix") or "")

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The file's text without the line break at its end; None if no file is named."""
        if not is_secret(field):
            return None, field_name, False
        variable = f"{self._prefix}{field_name}_FILE".upper()
        named = os.environ.get(variable)
        if not named:
            return None, field_name, False
        try:
            return Path(named).read_text().rstrip("\r\n"), field_name, False
        except OSError as error:
            message = f"{variable} names {named}, which cannot be read: {error.strerror}"
            raise ValueError(message) from error

    def __call__(self) -> dict[str, Any]:
        """All secrets that come from files."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """Whether the field holds a secret."""
    return field.annotation is SecretStr or SecretStr in get_args(field.annotation)
