/* SPDX-License-Identifier: MIT */
/* What came from outside, fit for one line of a log and for a text in JSON. */
#ifndef MSGD_DAEMON_CONFIG_PRINTABLE_H
#define MSGD_DAEMON_CONFIG_PRINTABLE_H

/* Puts '?' in place of control characters and of what is not well-formed UTF-8, such as a cut end.
 */
void make_printable(char *text);

#endif
