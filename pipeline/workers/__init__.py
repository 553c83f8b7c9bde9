"""Running work: local processes, a Dask cluster, child programs, signals."""
