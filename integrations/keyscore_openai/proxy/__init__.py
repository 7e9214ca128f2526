"""A proxy in front of an OpenAI-compatible server: it chooses frames, and forwards."""
