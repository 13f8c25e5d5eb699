"""report.html, and what a build says at its end."""
