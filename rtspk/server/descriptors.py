"""How many sockets a process may hold: each is a file to the system, which allows so many."""

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

__all__ = ["most_sockets", "raise_file_limit"]

MOST: int = 4096  # also of those that have sent no request yet; each costs some 20 KB
FILES: int = 2 * MOST  # so that accepting never fails
SPARE: int = 160  # for all that is no connection, and for a hundred that are accepted in one go


def raise_file_limit() -> None:
    """Let the process have the sockets that it may; a shell often allows 1024, which idle ones would fill."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_sockets() -> int:
    """How many connections to hold; with all files in use accepting fails, and is logged without end."""
    if resource is None:
        return MOST
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, max(soft // 2, soft - SPARE))
