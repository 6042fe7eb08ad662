"""Sagas behind a FastAPI application: clients as dependencies, errors as problems, 202 and status.

Install it with ``pip install 'resaga[fastapi]'``.
"""

from resaga.ext.fastapi.clients import Dependency, Keyed, SagaClients
from resaga.ext.fastapi.problems import Problem, SagaStatus

__all__ = ["Dependency", "Keyed", "Problem", "SagaClients", "SagaStatus"]
