"""Self-contained HTML pages and the pictures on them, for `shards inspect` and the report of `evaluate`.

`render` fills a Jinja2 template; `templates/` has what the pages share, and inspect's own. `drawing`, `charts` and
`skeleton` give SVG as data, which `templates/macros.html` writes; `strips` reads crops of hands from shards.
"""
