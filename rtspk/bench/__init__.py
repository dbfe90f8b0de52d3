"""What `rtspk bench` runs."""
