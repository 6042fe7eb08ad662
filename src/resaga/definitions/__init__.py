"""Workflows, Restate workflows and virtual objects: sagas as Restate's own definitions."""
