#!/usr/bin/env python3
"""coverage.py - the outcome of duckdb_files as tables of docs/coverage.md.

    test/continuous/coverage.py OUT.tsv docs/coverage.md       rewrites what stands between its marks
"""
import collections
import re
import sys

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
GOOD = "same"
BAD = ("refused", "differs", "fails", "timeout", "crash")


def read(path):
    for line in open(path):
        fields = (line.rstrip("\n").split("\t") + [""] * 5)[:5]
        name = fields[0].split("/test/sql/")[-1]
        yield name, int(fields[1]), fields[2], fields[3], fields[4]


def reason_of(outcome, reason):
    """One line for what is the same but for names and numbers."""
    if outcome == "differs":
        return "another answer"
    if outcome in ("timeout", "crash"):
        return outcome
    reason = reason.replace("Compiling a streaming query: ", "")
    if outcome == "chance":
        return re.match(r"[\w\"]*", reason)[0].strip('"') + "()"
    reason = re.split(r" has no incremental form| together with", reason)[0]
    return re.sub(r"\d+", "N", reason)[:100].replace("|", "\\|")


def per_folder(rows):
    folders = collections.defaultdict(collections.Counter)
    for name, _, outcome, _, _ in rows:
        for folder in (name.split("/")[0], "**all**"):
            folders[folder][outcome] += 1
    lines = ["| Folder | same | refused | differs | fails, late | share | chance, time | no function | reads no table |",
             "|---|---|---|---|---|---|---|---|---|"]
    for folder in sorted(folders, key=lambda name: (name == "**all**", name)):
        count = folders[folder]
        bad = sum(count[outcome] for outcome in BAD)
        if count[GOOD] + bad == 0:
            continue
        share = 100 * count[GOOD] / (count[GOOD] + bad)
        failing = count["fails"] + count["timeout"] + count["crash"]
        lines.append(f"| {folder} | {count[GOOD]} | {count['refused']} | {count['differs']} | {failing} "
                     f"| {share:.1f} % | {count['chance']} | {count['no function']} | {count['constant']} |")
    count = folders["**all**"]
    counted = count[GOOD] + count["chance"] + sum(count[outcome] for outcome in BAD)
    return lines + ["", f"Were *chance, time* counted as refused, the share of all would be {100 * count[GOOD] / counted:.1f} %."]


def per_reason(rows):
    reasons = collections.defaultdict(list)
    for name, line, outcome, reason, _ in rows:
        if outcome in BAD or outcome == "chance":
            reasons[outcome, reason_of(outcome, reason)].append(f"{name}:{line}")
    lines = ["| Outcome | Reason | Queries | Where |", "|---|---|---|---|"]
    for (outcome, reason), places in sorted(reasons.items(), key=lambda item: (item[0][0], -len(item[1]))):
        most = 40 if outcome == "differs" else 2
        seen = list(dict.fromkeys(places))
        where = ", ".join(seen[:most]) + (" …" if len(seen) > most else "")
        lines.append(f"| {outcome} | {reason} | {len(places)} | {where} |")
    return lines


def main():
    rows = list(read(sys.argv[1]))
    text = open(sys.argv[2]).read()
    left_out = collections.Counter(outcome for _, _, outcome, _, _ in rows)
    lines = [BEGIN, ""] + per_folder(rows) + [
        "", f"Left out: {left_out['batch']} that batch itself cannot run here, {left_out['large']} over tables of "
        f"more than 30,000 rows, {left_out['no tables']} whose tables the test cannot give a history, {left_out['file']} files "
        f"that ask for extensions.", ""]
    lines += per_reason(rows) + ["", END]
    start, end = text.index(BEGIN), text.index(END) + len(END)
    open(sys.argv[2], "w").write(text[:start] + "\n".join(lines) + text[end:])


if __name__ == "__main__":
    main()
