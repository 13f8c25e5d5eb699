"""A generator as a web page that generates in the visitor's browser."""
