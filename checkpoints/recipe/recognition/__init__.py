"""Detector, segmenter, classifier and captioner."""
