"""A generator as a Gradio application, here or in a Hugging Face Space."""
