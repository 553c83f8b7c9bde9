"""The stages, one file each: it says what the stage's result depends on, and makes it. They never import the runner.

`stage.py` has what all have in common; `earlier.py` takes over what an earlier version has made.
"""
