"""Builds the embedded model from packages and procedural scenes: `python -m pretrain --output FOLDER`."""
