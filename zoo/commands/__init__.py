"""What python -m zoo does: list, show, pull, import, verify."""
