# SPDX-License-Identifier: MIT
"""10,000 endpoints: how long registering takes, and what they and their messages cost in memory."""

from msgd_load import many_endpoints


def measure(msgd, is_quick):
    return many_endpoints(msgd, 10000, 10 if is_quick else 100)


def lines(figures):
    """The figures as a table, each with its bound."""
    yield f"endpoints: {figures['endpoints']:,} of one consumer, {figures['rounds']} messages to each"
    yield f"    {'':28}{'measured':>12}{'at most':>12}"
    yield f"    {'seconds to register':28}{figures['register_s']:>12.2f}{2:>12}"
    yield f"    {'MiB resident, registered':28}{figures['rss_registered_kib'] / 1024:>12.1f}{48:>12}"
    yield f"    {'MiB resident, after':28}{figures['rss_after_kib'] / 1024:>12.1f}{48:>12}"
    yield f"    {'descriptors':28}{figures['descriptors']:>12,}{12000:>12,}"
    yield f"    delivered {figures['delivered']:,} of {figures['sent']:,}"
