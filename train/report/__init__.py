"""What a run shows: log, terminal, grids, curves, its page."""
