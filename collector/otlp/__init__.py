"""The wire around a request: content types, compression, and the bodies of answers. Knows no socket.

`compression` opens bodies under a cap, `answers` writes success, partial success and google.rpc.Status.
"""
