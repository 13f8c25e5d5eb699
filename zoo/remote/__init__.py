"""What lies on other machines: fetched, resumed and checked, the Hugging Face Hub, the cache that it is kept in."""
