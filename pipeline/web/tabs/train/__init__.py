"""The Train tab: data sets, captions, trainings."""
