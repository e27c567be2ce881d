"""Seals: TUF roles and repository, keys as addresses, directives, vendor signatures."""
