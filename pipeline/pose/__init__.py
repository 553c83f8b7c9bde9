"""Where keypoints come from: estimators, files that others made (`layouts`), archives.

`estimators` are what runs on a clip, `choice` says which, `script_server` keeps their scripts up. `*_openpose.py` are
those scripts: they share `openpose_script`, and run in environments of their own, locked in `*.py.lock`.
"""
