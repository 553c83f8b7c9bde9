"""The `evaluate` command: from predictions or logits to figures and a report. Needs no torch."""
