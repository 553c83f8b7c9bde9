"""What `evaluate --report` writes: the numbers in `report` and `confusion`, the drawings in `figures`, the files and
tables in `report_files` and `score_table`, the page in `report_page` and `templates/`."""
