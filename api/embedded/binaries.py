"""Where the wheels of the dependency group ``engines`` put their programs."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from api.embedded.errors import EngineMissing


def find_program(engine: str, wheel: str, program: str, setting: str) -> Path:
    """The program that this wheel installed; never one that happens to be on the PATH.

    Raises EngineMissing, as in the production image, where the group is not installed.
    """
    try:
        files = distribution(wheel).files or []
    except PackageNotFoundError:
        raise EngineMissing(engine, wheel, setting) from None
    for file in files:
        path = Path(str(file.locate())).resolve()
        if file.name == program and path.parent.name == "bin" and path.is_file():
            return path
    raise EngineMissing(engine, wheel, setting)
