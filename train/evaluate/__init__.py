"""The `evaluate` command: from predictions or logits to figures and a report. Needs no torch.

`evaluate` does what `cli` was asked for (`options`): it reads and fuses (`logits`, `fusion`), compares with labels
(`truth`, `outcome`, `metrics`, `intervals`) or with other predictions (`comparison`), prints (`printing`), and writes a
`report`.
"""
