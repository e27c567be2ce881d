"""The query language over twins: text to tree (``parser``), tree to typed condition (``checker``).

Pure; ``storage.postgres.query`` makes SQL of a condition. People read docs/QUERY.md.
"""
