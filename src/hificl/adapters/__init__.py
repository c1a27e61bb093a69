"""Adapters on their way between a model and a folder: attached, read, checked, written."""
