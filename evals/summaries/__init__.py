"""TVSum and SumMe: do the scores of a sampler rank the frames as the annotators do?"""
