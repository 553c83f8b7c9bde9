"""Training. Imports `train.models` and `train.data`.

`session` has a run's epochs and checkpoints, `trainer` the step and the passes over data; `settings` what was asked
for. `checkpoint`, `resume`, `run_folder` and `run_log` are what lies in the run's folder; `distributed`, `stopping` and
`guards` what may come in between.
"""
