"""Training. Imports `train.models`, `train.data` and `train.ranks`.

`session` has a run's epochs and checkpoints, `trainer` the step and the passes over data; `settings` what was asked
for. `checkpoint`, `resume`, `run_folder` and `run_log` are what lies in the run's folder; `check` and `guards` look for
what would go wrong.
"""
