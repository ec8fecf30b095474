"""Lets securesystemslib 1.4 run with the cryptography 38 of Debian 12, which
calls two types otherwise."""

try:
    from cryptography.hazmat.primitives.asymmetric import types
except ImportError:
    pass
else:
    for new, old in (
        ("PrivateKeyTypes", "PRIVATE_KEY_TYPES"),
        ("PublicKeyTypes", "PUBLIC_KEY_TYPES"),
    ):
        if not hasattr(types, new) and hasattr(types, old):
            setattr(types, new, getattr(types, old))
