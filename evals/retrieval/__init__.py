"""Video-text retrieval on MSR-VTT 1k-A, MSVD and DiDeMo: does the caption find its video?"""
