"""Owns our HTTP/1.1 transport: the server's side of a connection (`server`) and the client's (`client`).

Knows nothing about LLMs and imports nothing of ours but itself. Parsing is llhttp's, through httptools; what it lets
through and HTTP/1.1 forbids is refused here. Rules: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
"""
