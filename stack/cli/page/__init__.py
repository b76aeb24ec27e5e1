"""``./baton page``: the whole loop in a browser, served from the command's own process for whichever stack runs."""
