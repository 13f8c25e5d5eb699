"""Landmarks that people made (--landmarks): read, matched with photos, and refused in other orders."""
