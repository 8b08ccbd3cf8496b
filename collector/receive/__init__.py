"""Where bytes enter: `http` and `grpcport` are the ports, `admit` is the one door behind both, `errors` maps errors."""
