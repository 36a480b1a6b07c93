"""Which file system a path lies on, and whether it is a share of the network."""

import os
from pathlib import Path

# A journal needs locks that hold between all processes, and a shared memory: SQLite has them on no
# share (https://www.sqlite.org/useovernet.html, https://www.sqlite.org/wal.html). Names of Linux:
# fs/*/super.c, and those of FUSE programs after "fuse.".
_SHARED = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb",
        "smb3",
        "smbfs",
    }
)
_PROGRAMS = frozenset(
    {
        "ceph",
        "curlftpfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "grpcfuse",
        "juicefs",
        "mfs",
        "rclone",
        "s3fs",
        "smbnetfs",
        "sshfs",
    }
)
_MOUNTS = Path("/proc/self/mountinfo")


def file_system(path: Path, mounts: str | None = None) -> str:
    """Return the name of the file system of a path, such as ext4; "": it cannot be told."""
    real, best, name = os.path.realpath(path), "", ""
    for line in (_read() if mounts is None else mounts).splitlines():
        # https://docs.kernel.org/filesystems/proc.html: the mount point is the fifth field, the
        # type follows " - ".
        head, _, tail = line.partition(" - ")
        fields = head.split()
        if len(fields) < 5 or not tail:
            continue
        point = fields[4].encode().decode("unicode_escape")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # a later mount covers an earlier one
            best, name = point, tail.split()[0]
    return name


def is_shared(name: str) -> bool:
    """Return whether a file system is a share of the network."""
    kind, _, program = name.partition(".")
    return kind in _SHARED or (kind == "fuse" and program in _PROGRAMS)


def _read() -> str:
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
