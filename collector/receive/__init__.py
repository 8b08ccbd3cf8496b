"""Where bytes enter: `http` and `grpcport` are ports, `owner` tells whose a request is, `admit` is the one door.

The thread of `writer` takes what waits behind it as one `group`, a value that is decoded, written and settled, while
`watch` looks after disk and journal. `errors` maps what went wrong to both wires.
"""
