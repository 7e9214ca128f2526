"""What is computed, on tensors alone: no files, no models, no clock."""
