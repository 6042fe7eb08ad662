"""A FastAPI application in front of sagas, with services per request."""
