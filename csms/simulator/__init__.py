"""Simulated chargers: software of their own, on the other side of real sockets."""
