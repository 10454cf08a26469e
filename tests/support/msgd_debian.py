# SPDX-License-Identifier: MIT
"""
A small Debian system for the package to be installed in: made by debootstrap from the mirror that this machine's
apt uses, and kept in .cache between runs, under a name that says what it is made of. As a program: makes it, so that
it is there before somebody waits for it.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import sys

from msgd_process import SOURCE, run

# What boots, and what the package depends on: inside there is no network to get it from.
PACKAGES = ("systemd-sysv", "libuv1", "libjansson4", "libsodium23", "libsqlite3-0")
CACHE = SOURCE / ".cache"
PATIENCE_S = 540


class Unavailable(Exception):
    """It cannot be had on this machine, and why."""


def codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise Unavailable("this is no release of Debian: the package would not fit another one")


def mirror(release):
    """Where apt gets that release from."""
    targets = run(["apt-get", "indextargets", "--format", "$(RELEASE) $(CODENAME) $(COMPONENT) $(REPO_URI)",
                   "Created-By: Packages"])
    for line in targets.stdout.splitlines():
        suite, name, component, uri = line.split(" ", 3)
        if component == "main" and release in (suite, name):
            return uri
    raise Unavailable(f"apt has no source of {release}")


def environment():
    """With the proxy that apt goes through, if there is one."""
    shell = run(["apt-config", "shell", "proxy", "Acquire::http::Proxy"]).stdout.strip()
    proxy = shell.partition("=")[2].strip("'")
    return {**os.environ, **({"http_proxy": proxy} if proxy and proxy != "DIRECT" else {})}


def debootstrap(release, folder):
    """Its mounts and processes are in namespaces of their own, so that none outlives it."""
    result = run(["setpriv", "--pdeathsig", "KILL", "timeout", "--kill-after=5", PATIENCE_S,
                  "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                  "debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), release, folder, mirror(release)],
                 timeout=PATIENCE_S + 30, env=environment())
    if result.returncode != 0:
        said = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        raise Unavailable(f"debootstrap failed: {said[-1] if said else result.returncode}")
    for what in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(folder / what)
        (folder / what / "partial").mkdir(parents=True)


def make():
    """The folder of the system, made if it is not there. Raises Unavailable."""
    if os.geteuid() != 0:
        raise Unavailable("debootstrap and systemd-nspawn need root")
    for program in ("debootstrap", "systemd-nspawn", "dpkg-shlibdeps", "unshare", "setpriv"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")
    release = codename()
    content = hashlib.sha256(" ".join((release, *PACKAGES)).encode()).hexdigest()[:12]
    folder = CACHE / f"debian-{release}-{content}"
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "debian.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            for other in CACHE.glob("debian-*"):  # what was made of other packages, or not to its end
                shutil.rmtree(other)
            debootstrap(release, CACHE / "debian-part")
            os.rename(CACHE / "debian-part", folder)
    return folder


if __name__ == "__main__":
    try:
        print(make())
    except Unavailable as reason:
        print(f"SKIPPED: {reason}")
        sys.exit(77)
