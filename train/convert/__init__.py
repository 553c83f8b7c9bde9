"""The `checkpoint` command: checkpoints of others to ours (`import_reference`), ours to graphs (`export_model`)."""
