"""What makes a run resumable and its result usable: run folder, checkpoints, what it carries, what it publishes."""
