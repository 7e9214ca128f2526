"""What can be asked for by name, and where it is defined: ``"module:attribute"``, imported on use.

This module imports nothing, so that names are known before torch is loaded.
"""

DECODERS = {
    "pyav": "keyscore_plugin.video.decoders.pyav:PyAVSource",
    "decord": "keyscore_plugin.video.decoders.decord:DecordSource",
    "torchcodec": "keyscore_plugin.video.decoders.torchcodec:TorchCodecSource",
    "torchcodec-cuda": "keyscore_plugin.video.decoders.torchcodec:TorchCodecCudaSource",
}
AUTO_DECODER = "pyav"  # ours: the one that decodes all we tried

# An encoder may also be any model id or folder, so there is no closed registry of them.
CAPTIONERS = {
    "labels": "keyscore_plugin.captioners.labels:LabelsCaptioner",
}

_PUBLISHED = "keyscore_plugin.baselines"
SAMPLERS = {
    "aks": f"{_PUBLISHED}.aks:AksSampler",
    "aks-paper": f"{_PUBLISHED}.aks:AksPaperSampler",
    "bolt": f"{_PUBLISHED}.bolt:BoltSampler",
    "focus": f"{_PUBLISHED}.focus:FocusSampler",
    "iframes": f"{_PUBLISHED}.iframes:IFramesSampler",
    "katna": f"{_PUBLISHED}.katna:KatnaSampler",
    "katna-fixed": f"{_PUBLISHED}.katna:KatnaFixedSampler",
    "keyscore": "keyscore_plugin.samplers.keyscore:KeyScoreSampler",
    "maxinfo": f"{_PUBLISHED}.maxinfo:MaxInfoSampler",
    "mdp3": f"{_PUBLISHED}.mdp3:Mdp3Sampler",
    "qframe": f"{_PUBLISHED}.qframe:QFrameSampler",
    "random": f"{_PUBLISHED}.random_frames:RandomSampler",
    "stacfp": "keyscore_plugin.samplers.stacfp:StacfpSampler",
    "topk": "keyscore_plugin.samplers.topk:TopKSampler",
    "uniform": "keyscore_plugin.samplers.uniform:UniformSampler",
    "wfs-sb": f"{_PUBLISHED}.wfs_sb:WfsSbSampler",
}
