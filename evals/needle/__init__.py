"""Needle in a joined video: does a sampler find the clip that a sentence describes?"""
