"""The `evaluate` command: from predictions or logits to figures and a report. Needs no torch.

`evaluate` does what `cli` was asked for: it reads and fuses (`logits`, `fusion`), compares with labels (`truth`,
`outcome`, `metrics`, `intervals`) or with other predictions (`comparison`), and writes a `report`.
"""
