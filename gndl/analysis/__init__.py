"""One file a question. Most take tables and return tables.

`across` also trains; `along` and `neutral` run trained networks and keep their tables in the study's ``analysis``.
"""
