"""The restoration networks and their weights; whether a photo needs them; the filter of what they leave."""
