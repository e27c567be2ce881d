"""The main job, end to end, on real engines: ``ampwave demo``."""
