"""TVSum20 and SumMe: do the chosen frames look like the keyframes that people chose?"""
