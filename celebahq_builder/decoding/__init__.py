"""What turns each kind of file into pixels; photos.py is the stage that uses it."""
