# SPDX-License-Identifier: MIT
"""What msgd costs when nothing happens."""

from msgd_load import at_rest


def measure(msgd, _folder, is_quick, is_tiny):
    return at_rest(msgd, 1 if is_tiny else 3 if is_quick else 60)


def lines(figures):
    """The figures as a table, each with its bound."""
    yield f"at rest: {figures['seconds']} s with two consumers"
    yield f"    {'':28}{'measured':>12}{'at most':>12}"
    yield f"    {'clock ticks of CPU':28}{figures['ticks']:>12}{1:>12}"
    yield f"    {'MiB resident':28}{figures['rss_kib'] / 1024:>12.1f}{10:>12}"
