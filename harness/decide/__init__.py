"""What predictions are for: ``predict.py`` answers from names to times and bounds."""
