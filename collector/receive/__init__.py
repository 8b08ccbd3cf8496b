"""Where bytes enter: `http` and `grpc` are the ports, `admit` is the one door behind both, `answers` maps errors."""
