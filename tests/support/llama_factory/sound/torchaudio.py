"""Stands in for torchaudio, whose wheel needs CUDA; nothing here reads sound."""
