"""The editor: a page on which one paints a layout and sees the picture, and the server behind it (`zoo ui`).

`offers`: which models, and what the page is told of them; `models`: loaded when they are needed; `wire`: jobs as JSON; `photos`, `imports`:
what is dropped into the page; `rendering`, `drawing`: the work, by the objects of a composition; `jobs`: one at a time for each tab;
`guard`: who may ask; `app`: the addresses; `serving`: the process; `project`: the page's file; `space`: a folder for a host. Importing
the package costs nothing; `app` and `serving` need the extra `ui`.
"""
