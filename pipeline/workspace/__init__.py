"""The folder behind `--work`: paths, manifest, ledgers, locks."""
