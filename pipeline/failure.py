"""What goes wrong with one clip and must not stop the others."""


class ClipError(Exception):
    """A clip that cannot be used; the message is the one-line reason that the ledger keeps."""
