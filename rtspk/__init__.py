"""Say who is speaking, by name, as they speak."""
