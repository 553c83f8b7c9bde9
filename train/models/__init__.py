"""The models (`vtn`, `attention`), reading weights safely, and what each kind of model brings (`streams`, `defaults`).

Imports `train.data`.
"""
