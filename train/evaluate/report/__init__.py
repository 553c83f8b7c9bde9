"""What `evaluate --report` writes: the figures in `report` and `confusion`, the files and tables in `report_files` and
`score_table`, the page in `report_page` and `templates/`."""
