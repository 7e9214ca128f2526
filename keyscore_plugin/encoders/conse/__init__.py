"""The offline encoder, ConSE: an ImageNet classifier and a sentence encoder share one space."""
