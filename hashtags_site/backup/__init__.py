"""Copies of everything that cannot be made again, taken while people vote; their way back; and the move to
another database. docs/operating.md says what is in a backup.
"""
