"""Who took a task, as histories name it."""

from api.bootstrap import identity


def test_it_is_short_and_tells_replicas_apart() -> None:
    first, second = (identity(f"ampwave-worker-6d5f8b9c7d-{pod}", 1) for pod in ("x2k4p", "m9qzt"))
    assert first != second
    assert max(len(first), len(second)) <= 16
    assert identity("vm", 4711) == "4711@vm"
