"""A generator as a web page that paints in the visitor's browser."""
