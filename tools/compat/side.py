"""Whose child or connection something is: the executor's processes have a variable that nobody else has."""

import os

SIDE = "COMPAT_SIDE"


def told(pid):
    """`executor` if process `pid` is the server, or one below it."""
    while pid > 1:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if f"{SIDE}=executor".encode() in file.read().split(b"\0"):
                    return "executor"
            with open(f"/proc/{pid}/stat") as file:
                pid = int(file.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            break
    return "wrong side"


def of_connection(near_port, far_port):
    """The same of whoever holds the end at `near_port` of a connection on loopback to `far_port`."""
    inode = None
    with open("/proc/net/tcp") as file:
        for line in file.readlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{near_port:04X}") and fields[2].endswith(f":{far_port:04X}"):
                inode = fields[9]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                if inode and os.readlink(f"/proc/{pid}/fd/{descriptor}") == f"socket:[{inode}]":
                    return told(int(pid))
        except OSError:
            continue
    return "wrong side"
