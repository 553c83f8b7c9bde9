"""What people's data sets look like → the clip list of `pipeline run` (`pipeline clips`).

A module per kind of list reads it into records (`record.py`), without asking where the clips are; `locate.py` finds
them on the disk, `ids.py` names them, `list_report.py` says what is odd, and `command.py` writes the CSV.
"""
