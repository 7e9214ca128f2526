"""The offline encoder: an ImageNet classifier and a sentence encoder share one space (ConSE)."""
