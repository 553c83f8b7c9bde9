"""Estimators with OpenPose's command line, run by `uv` in environments of their own, locked in `*.py.lock`.

They share `openpose_script` and `person`, and import nothing else of the project.
"""
