"""The studio in the browser: pages and a JSON API over the same commands as the command line."""
