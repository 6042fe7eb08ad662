"""Services from a dishka container: per application, per attempt of a saga, per action."""
