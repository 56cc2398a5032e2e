# SPDX-License-Identifier: Apache-2.0
"""
Files that a daemon looks at, replaced so that it never sees a part of a change. A key and a certificate that are renamed one after the other
are a pair of two generations in between, which the daemon tells as an error if it looks just then.
"""

import ctypes
import os
import shutil

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # fcntl.h, linux/fs.h
_libc = ctypes.CDLL(None, use_errno=True)


def put(folder, name, source):
    """A copy of the file, under that name at once."""
    shutil.copyfile(source, folder / f".{name}")
    os.rename(folder / f".{name}", folder / name)


def put_together(folder, **sources):
    """Copies of the files in a directory, which it has all at once; others that are there stay."""
    folder.mkdir(exist_ok=True)
    new = folder.with_name(f".{folder.name}-new")
    shutil.copytree(folder, new)
    for name, source in sources.items():
        shutil.copy(source, new / name)
    if _libc.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(folder), RENAME_EXCHANGE):
        raise OSError(ctypes.get_errno(), "renameat2")
    shutil.rmtree(new)
