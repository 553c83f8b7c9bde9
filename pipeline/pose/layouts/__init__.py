"""Keypoints that others computed, in the files and point orders that people have, brought to BODY_135.

`point_tables.py` is the data: one table per layout. `apply.py` applies a table. `find.py` says what a file or folder
is, and which one belongs to which sample; `read.py` reads it. One module per kind of file; `plausible.py` doubts the
result.
"""
