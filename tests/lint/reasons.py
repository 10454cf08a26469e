# SPDX-License-Identifier: MIT
"""lint.reasons: the drop reasons in docs/protocol.md and msgd(8) are those of daemon/core/ledger.h, in its order."""
import re

import tree


def main():
    code = "\n".join(tree.lines("daemon/core/ledger.h"))
    code = re.sub(r"\\\n\s*", " ", code)
    listed = re.findall(r'X\(([A-Z_]+),\s*(\w+),\s*"([^"]*)"\)', code)
    text = "\n".join(tree.lines("docs/protocol.md"))
    body = text.split("<!-- drop reasons begin -->")[1].split("<!-- drop reasons end -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", body, re.M)
    wanted = [(key, meaning) for _, key, meaning in listed]
    findings = [f"daemon/core/ledger.h has {row}, docs/protocol.md has not" for row in wanted if row not in rows]
    findings += [f"docs/protocol.md has {row}, daemon/core/ledger.h has not" for row in rows if row not in wanted]
    if not findings and rows != wanted:
        findings.append("docs/protocol.md: the order of the checks is another one")
    page = "\n".join(tree.lines("docs/man/msgd.8")).split(".Ss What becomes of a datagram")[1].split(".El")[0]
    if re.findall(r"^\.It Cm (\w+)$", page, re.M) != [key for key, _ in wanted]:
        findings.append("docs/man/msgd.8: its reasons are others, or in another order")
    tree.finish(findings, len(wanted))


main()
