"""Capture file formats, byte by byte."""
