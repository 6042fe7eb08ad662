"""One program for each contender: a service whose sagas have as many steps as they are told.

The environment says what the service is called, because all of them are known to one server. All
steps are hybrid: what undoes a step is registered before it runs, so a saga of five whose last step
fails runs five compensations.
"""
