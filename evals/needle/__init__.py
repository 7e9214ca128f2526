"""Needle in a joined video: does a sampler find the clip that the sentence describes?"""
