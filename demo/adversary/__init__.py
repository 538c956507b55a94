"""Who stands in the path, or plays the server: active attacks, inside the lab and on loopback only."""
