"""Sound in, turns out: no socket, no clock, no thread."""
