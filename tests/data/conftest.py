from served import closed_port, serve

__all__ = ["closed_port", "serve"]  # fixtures
