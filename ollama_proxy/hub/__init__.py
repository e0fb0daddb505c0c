"""What every protocol needs from an upstream's answer: OpenAI's chat-completions shape, read tolerantly, met once.

The providers' quirks in answers live here, so that each client protocol translates one clean shape.
"""
