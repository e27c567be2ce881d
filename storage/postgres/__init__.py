"""PostgreSQL adapters: one store per port, wired only by ``api.bootstrap``."""
