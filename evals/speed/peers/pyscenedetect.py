"""PySceneDetect: the scenes of the video named on the command line, by its content detector."""

import sys

import scenedetect

from evals.speed.peers.clock import report

if __name__ == "__main__":
    report(
        "scenedetect",
        lambda: len(scenedetect.detect(sys.argv[1], scenedetect.ContentDetector())),
    )
