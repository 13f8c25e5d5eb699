"""Photographs to restoration networks: JPEG-artifact removal and 4x super-resolution (paper, Appendix C)."""
