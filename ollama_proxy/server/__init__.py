"""The server: door, routes, endpoints, and the host they run in."""
