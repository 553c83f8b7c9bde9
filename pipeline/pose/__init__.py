"""Where keypoints come from: estimators, files that others made (`layouts`), archives.

`estimators` are what runs on a clip, `choice` says which; `scripts` has those of ours, `script_server` keeps them up.
"""
