# SPDX-License-Identifier: MIT
"""lint.reasons: the table of drop reasons in docs/protocol.md is the list of daemon/core/ledger.h, in its order."""
import re

import tree


def main():
    code = "\n".join(tree.lines("daemon/core/ledger.h"))
    code = re.sub(r"\\\n\s*", " ", code)
    listed = re.findall(r'X\((\w+),\s*(\w+),\s*"([^"]*)"\)', code)
    text = "\n".join(tree.lines("docs/protocol.md"))
    body = text.split("<!-- drop reasons begin -->")[1].split("<!-- drop reasons end -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", body, re.M)
    wanted = [(key, meaning) for _, key, meaning in listed]
    findings = [f"daemon/core/ledger.h has {row}, docs/protocol.md has not" for row in wanted if row not in rows]
    findings += [f"docs/protocol.md has {row}, daemon/core/ledger.h has not" for row in rows if row not in wanted]
    if not findings and rows != wanted:
        findings.append("docs/protocol.md: the order of the checks is another one")
    tree.finish(findings, len(wanted))


main()
