"""The node's gRPC services: they translate and delegate, and decide nothing."""
