"""The folder behind `--work`: its paths, which clips there are, what is known of each, and what was done."""
