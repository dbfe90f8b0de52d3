"""How good is it: named parts of every measure, that add up over files and divide into rates at the end."""

from rtspk.metrics.detection import (
    DetectionCurve,
    detection_curve,
    equal_error_rate,
    likelihood_ratio_cost,
    minimum_cost,
    threshold_at_false_alarm,
)
from rtspk.metrics.diarization import (
    DiarizationError,
    JaccardError,
    Region,
    SpeakerCountError,
    Spoken,
    diarization_error,
    jaccard_error,
    optimal_mapping,
    speaker_count_error,
)
from rtspk.metrics.openset import OpenSetCounts, open_set_at_false_alarm, open_set_counts
from rtspk.metrics.reliability import ReliabilityBins, expected_calibration_error, reliability_bins

__all__ = [
    "DetectionCurve",
    "DiarizationError",
    "JaccardError",
    "OpenSetCounts",
    "Region",
    "ReliabilityBins",
    "SpeakerCountError",
    "Spoken",
    "detection_curve",
    "diarization_error",
    "equal_error_rate",
    "expected_calibration_error",
    "jaccard_error",
    "likelihood_ratio_cost",
    "minimum_cost",
    "open_set_at_false_alarm",
    "open_set_counts",
    "optimal_mapping",
    "reliability_bins",
    "speaker_count_error",
    "threshold_at_false_alarm",
]
