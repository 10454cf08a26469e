#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lint.install BUILD_DIR LIBDIR PREFIX: what cmake --install puts in place is the list in install.txt,
# and a program links against it by pkg-config alone.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1 libdir=$2 prefix=$3

root=$(mktemp -d)
trap 'rm -r "$root"' EXIT
DESTDIR=$root cmake --install "$build" >"$root/log" || {
    cat "$root/log"
    exit 1
}
rm "$root/log"

installed=$(cd "$root" && find . \( -type f -o -type l \) -printf '%p\n' |
    sed -e 's|^\.||' -e "s#^$libdir/\(libmsgd\|pkgconfig\)#LIBDIR/\1#" -e "s|^$prefix/|PREFIX/|" | LC_ALL=C sort)
if ! diff <(echo "$installed") "$here/install.txt"; then
    echo "< is installed, > is in tests/lint/install.txt"
    exit 1
fi

# The example of the header, as somebody else's program.
cat >"$root/program.c" <<'C'
#include <msgd.h>
int main(void)
{
    struct msgd *m;
    return msgd_open(&m, "/nonexistent") < 0 && msgd_close(m) == 0 ? 0 : 1;
}
C
export PKG_CONFIG_PATH=$root$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
read -ra flags < <(pkg-config --cflags --libs msgd)
"${CC:-cc}" -Wall -Werror -o "$root/program" "$root/program.c" "${flags[@]}"
LD_LIBRARY_PATH=$root$libdir "$root/program"
