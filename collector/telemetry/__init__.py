"""What runwell says about itself: `log` to stderr, `export` of traces, logs and metrics to an OTLP endpoint.

Events are `{operation}_{phase}` with the phases of the conventions, keys are snake_case, durations end in `_ms`.
`correlation_id` is one life of the supervisor, `run_id` one of a process or job, `request_id` a request. Nothing that
a sender wrote is repeated: not a body, an attribute, a name, nor an error's text that may quote one.
"""
