"""Running work: tasks in local processes or on a Dask cluster, child programs that end in time, signals."""
