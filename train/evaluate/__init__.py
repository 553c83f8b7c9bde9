"""The `evaluate` command: from predictions or logits to figures and a report. Needs no torch.

`evaluate` does what `cli` was asked for: it reads and fuses (`logits`, `fusion`), compares with labels (`outcome`,
`metrics`) and writes a report, whose figures are in `report` (`intervals`, `confusion`), its files and tables in
`report_files`, and its page in `report_page` and `templates/`.
"""
