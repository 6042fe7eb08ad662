"""Clients: calling workflows, services and objects, from inside Restate and from outside."""
