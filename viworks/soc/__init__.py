"""What the SOC does with its private key, on a machine of its own: make it, show its fingerprint, open sealed values.

It needs the light install alone, so that the machine can stay without a network and without a server.
"""
