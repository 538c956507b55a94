"""From frames to byte streams: link layers, IP fragments, the two halves of a TCP connection."""
