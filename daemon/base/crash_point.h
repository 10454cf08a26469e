/* SPDX-License-Identifier: MIT */
/*
 * Named places at which a test may have the process killed, as by kill -9 at exactly that line:
 * MSGD_CRASH=name:n in the environment kills it at the n-th time. Where MSGD_CRASH_POINTS is not
 * compiled in (release) nothing is left of them.
 */
#ifndef MSGD_DAEMON_BASE_CRASH_POINT_H
#define MSGD_DAEMON_BASE_CRASH_POINT_H

#ifdef MSGD_CRASH_POINTS
#define CRASH_POINT(name) crash_point(name)
void crash_point(const char *name);
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
