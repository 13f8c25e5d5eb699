"""A model folder to a repository of the Hugging Face Hub: its card, its license, the upload."""
