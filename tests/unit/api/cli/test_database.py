"""``ampwave db stats`` as people and machines see it."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.cli.database import draw_statistics, statistics_json
from api.cli.output import Screen
from api.cli.roles import kept_days
from api.embedded.postgres import url_of_up
from api.settings import Settings
from storage.statistics import PartitionStatistics, TableStatistics

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TABLES = (
    TableStatistics(
        "frame",
        1_200_000,
        exact=False,
        bytes=3_000_000_000,
        oldest=NOW - 30 * DAY,
        partitions=(
            PartitionStatistics("frame_20261120", 1_200_000, 2_900_000_000, NOW - 30 * DAY),
            PartitionStatistics("frame_default", 0, 8192),
        ),
    ),
    TableStatistics("site", 3, exact=True, bytes=8192),
)


def drawn(tables: tuple[TableStatistics, ...]) -> str:
    stream = io.StringIO()
    draw_statistics(Screen(stream, width=100), tables, {"frame": 30}, NOW)
    return stream.getvalue()


def test_people_see_what_is_large_how_old_it_is_and_what_goes_when() -> None:
    text = drawn(TABLES)
    frame = next(line for line in text.splitlines() if line.startswith("frame "))
    assert frame.split() == ["frame", "~1200000", "3.0", "GB", "30", "d", "ago", "30", "d", "2"]
    site = next(line for line in text.splitlines() if line.startswith("site"))
    assert site.split() == ["site", "3", "8.2", "kB", "-", "-", "-"]
    assert "frame_20261120" in text
    assert "3.0 GB in 2 tables" in text


def test_an_empty_database_says_what_to_do() -> None:
    assert "ampwave db upgrade" in drawn(())


def test_machines_get_numbers() -> None:
    found = statistics_json(TABLES, {"frame": 30})
    assert found["bytes"] == 3_000_008_192
    frame, site = found["tables"]
    assert (frame["rows"], frame["rows_exact"], frame["kept_days"]) == (1_200_000, False, 30)
    assert frame["oldest"] == (NOW - 30 * DAY).isoformat()
    assert [part["begins"] for part in frame["partitions"]] == [(NOW - 30 * DAY).isoformat(), None]
    assert (site["oldest"], site["kept_days"], site["partitions"]) == (None, None, [])


def test_what_is_kept_how_long_is_what_the_settings_say() -> None:
    settings = Settings(_env_file=None, journal_kept_days=7, log_kept_days=14)
    assert kept_days(settings) == {"frame": 7, "log_upload": 14, "health_hour": 60}


def test_the_database_of_up_is_found_by_its_folder(tmp_path: Path) -> None:
    assert url_of_up(tmp_path, 54329) is None
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "password").write_text("hush\n")
    assert str(url_of_up(tmp_path, 54329)).endswith(":hush@127.0.0.1:54329/ampwave")
    assert url_of_up(tmp_path, 0) is None, "nobody knows on which port"
