# SPDX-License-Identifier: MIT
"""
lint.protocol: docs/protocol.md says what the code says: the drop reasons of daemon/core/ledger.h (msgd(8) and msgls too), in its
order, and every method and error of io.msgd.varlink; and every section that the code cites is there.
"""
import re

import tree


def text_of(path):
    return "\n".join(tree.lines(path))


def check_reasons(page, findings):
    code = re.sub(r"\\\n\s*", " ", text_of("daemon/core/ledger.h"))
    wanted = re.findall(r'X\([A-Z_]+,\s*(\w+),\s*"([^"]*)"\)', code)
    body = page.split("<!-- drop reasons begin -->")[1].split("<!-- drop reasons end -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", body, re.M)
    findings += [f"daemon/core/ledger.h has {row}, docs/protocol.md has not" for row in wanted if row not in rows]
    findings += [f"docs/protocol.md has {row}, daemon/core/ledger.h has not" for row in rows if row not in wanted]
    if not findings and rows != wanted:
        findings.append("docs/protocol.md: the order of the checks is another one")
    manual = text_of("docs/man/msgd.8").split(".Ss What becomes of a datagram")[1].split(".El")[0]
    if re.findall(r"^\.It Cm (\w+)$", manual, re.M) != [key for key, _ in wanted]:
        findings.append("docs/man/msgd.8: its reasons are others, or in another order")
    advice = text_of("tools/endpoint.c").split("} drop_reasons[] = {")[1].split("\n};")[0]
    if re.findall(r'^    \{"(\w+)",', advice, re.M) != [key for key, _ in wanted]:
        findings.append("tools/endpoint.c: its reasons are others, or in another order")
    return len(wanted)


def check_interface(page, findings):
    interface = text_of("proto/io.msgd.varlink")
    methods = re.findall(r"^method (\w+)", interface, re.M)
    errors = re.findall(r"^error (\w+) \((.*)\)$", interface, re.M)
    described = " ".join(re.findall(r"^### (.*)$", page.split("\n## Methods\n")[1].split("\n## ")[0], re.M))
    for name in methods:
        if name not in described.replace(",", " ").split():
            findings.append(f"docs/protocol.md: method {name} is not described")
    for name, parameters in errors:
        row = re.search(rf"^\| `io\.msgd\.{name}` \|(.*)$", page, re.M)
        if not row:
            findings.append(f"docs/protocol.md: error {name} is not in the table")
            continue
        for parameter in re.findall(r"(\w+):", parameters):
            if f"`{parameter}`" not in row[1]:
                findings.append(f"docs/protocol.md: error {name} has a parameter {parameter}")
    return len(methods) + len(errors)


def check_citations(page, findings):
    headings = set(re.findall(r"^#+ (.*)$", page, re.M))
    for path in tree.files(".c", ".h", ".varlink"):
        for section in re.findall(r'docs/protocol\.md,[\s*]*(?:section[\s*]*)?"([^"]+)"', text_of(path)):
            if section not in headings:
                findings.append(f'{path} cites "{section}" of docs/protocol.md, which is not there')


def main():
    findings = []
    page = text_of("docs/protocol.md")
    checked = check_reasons(page, findings) + check_interface(page, findings)
    check_citations(page, findings)
    tree.finish(findings, checked)


main()
