"""The models, their weights, and what each kind of model brings (`streams.py`). Imports `train.data`."""
