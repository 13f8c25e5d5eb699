"""The authors' program of 2017, byte for byte: its crop, its Lanczos, and libjpeg 8d's decoder."""
