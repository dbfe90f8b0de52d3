"""Many live streams over websockets, one engine: bytes in, events out, and a page that shows them."""
