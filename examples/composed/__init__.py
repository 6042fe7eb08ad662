"""Composition: workflows inside a workflow, side by side, and a module."""
