#!/usr/bin/env python3
"""tidy.py - checks the house rules that a compiler does not see (docs/HACKING.md).

    tools/tidy.py [ROOT]      exit code 1 and one line `file:line: what to do` per finding
    tools/tidy.py --self-test

Rules: folders of src/ include only what stands below them; sizes; names; a README in every folder;
first lines of headers; places of documents that sources name; no loose ends.
"""
import os
import re
import sys
import tempfile

# Highest first. A folder includes only folders further down.
ORDER = ["app", "session", "sql", "sql/connect", "stream", "catalog", "table", "table/log", "lsm",
         "format", "format/codec", "meta", "io", "base"]
# What stands further down, but is named by app alone.
ONLY_APP = {"sql/connect"}

MAX_FILE_LINES = 900
MAX_COLUMNS = 100
MAX_README_LINES = 40
BANNED_WORDS = {"util", "utils", "helper", "helpers", "common", "manager", "impl"}
LOOSE_END = re.compile(r"\b(TODO|FIXME|XXX)\b")
PLACE = re.compile(r"\b(docs/[\w/]+\.md)#([\w-]+)")
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
SOURCE_ENDINGS = (".h", ".cc")
TEXT_ENDINGS = (".h", ".cc", ".py", ".sh", ".md", ".cmake", ".txt", ".slt", ".sql")
CHECKED_TOPS = ("src", "test", "tools", "docs", "bench", "examples", "cmake")


def folder_of(path):
    """The folder of ORDER that `path` ("sql/connect/file.h") lies in; None for other headers."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in ORDER:
            return "/".join(parts)
        parts.pop()
    return None


def files_under(root):
    for top in CHECKED_TOPS:
        for folder, subfolders, names in os.walk(os.path.join(root, top)):
            subfolders[:] = sorted(d for d in subfolders if not d.startswith((".", "__"))
                                   and d != "build")
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), root)


def check_include(path, number, line, found):
    include = INCLUDE.match(line)
    if not include or not path.startswith("src/"):
        return
    here, there = folder_of(path[len("src/"):]), folder_of(include.group(1))
    if include.group(1) == "duckdb.hpp":
        found(path, number, "duckdb.hpp costs 6 seconds a file; include the narrow header")
    if here is None or there is None or here == there:
        return
    if there in ONLY_APP and here != "app":
        found(path, number, f"{there} is named by app alone; go through the registry of stream")
    elif ORDER.index(there) < ORDER.index(here):
        found(path, number, f"{here} stands below {there} and must not include it; move what you "
                            f"need down, or pass it in")


def check_name(path, found):
    stem = os.path.splitext(os.path.basename(path))[0]
    for word in re.split(r"[_\-.]", stem.lower()):
        if word in BANNED_WORDS:
            found(path, 1, f"'{word}' in a file's name says nothing; name what the file holds")


def check_source(path, lines, found):
    if len(lines) > MAX_FILE_LINES:
        found(path, len(lines), f"{len(lines)} lines, at most {MAX_FILE_LINES}: split it by topic")
    if path.endswith(".h"):
        name = os.path.basename(path)
        if not lines or not lines[0].startswith(f"// {name} - "):
            found(path, 1, f"begin with '// {name} - what it is'")
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            found(path, number, f"{len(line)} columns, at most {MAX_COLUMNS} (make format)")
        check_include(path, number, line, found)


def check_places(root, path, number, line, known, found):
    """`known`: the anchors of the documents that were looked at."""
    for document, anchor in PLACE.findall(line):
        if document not in known:
            try:
                with open(os.path.join(root, document), encoding="utf-8") as file:
                    text = file.read()
            except FileNotFoundError:
                text = ""
            known[document] = set(re.findall(r'<a id="([^"]+)">', text))
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
                known[document].add(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-"))
        if anchor not in known[document]:
            found(path, number, f"{document} has no place '#{anchor}'")


def check_readmes(root, found):
    for folder in ORDER:
        if not os.path.isdir(os.path.join(root, "src", folder)):
            continue
        readme = f"src/{folder}/README.md"
        if not os.path.exists(os.path.join(root, readme)):
            found(readme, 1, "missing: purpose, the classes to know, the invariants")
            continue
        with open(os.path.join(root, readme), encoding="utf-8") as file:
            count = len(file.readlines())
        if count > MAX_README_LINES:
            found(readme, count, f"{count} lines, at most {MAX_README_LINES}")


def tidy(root):
    findings = []
    known = {}

    def found(path, number, text):
        findings.append(f"{path}:{number}: {text}")

    for path in files_under(root):
        if not path.endswith(TEXT_ENDINGS):
            continue
        try:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                lines = file.read().splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # Test data, or a file that a parallel build has just removed.
        check_name(path, found)
        if path.startswith(("src/", "test/")) and path.endswith(SOURCE_ENDINGS):
            check_source(path, lines, found)
        if path == "tools/tidy.py":
            continue  # It has to spell the words it looks for.
        for number, line in enumerate(lines, 1):
            check_places(root, path, number, line, known, found)
            loose = LOOSE_END.search(line)
            if loose:
                found(path, number, f"{loose.group(1)}: finish it, or write down why it may stay")
    check_readmes(root, found)
    return findings


def self_test():
    """Every rule must be able to fail: one file against each."""
    bad = {
        "src/base/README.md": "x\n" * 41,
        "src/base/a.h": '// a.h - x\n#include "io/b.h"\n#include "base/c.h"\n',
        "src/base/no_head.h": "#pragma once\n",
        "src/base/string_utils.cc": "\n",
        "src/base/long.cc": "\n" * 901 + "//" + "x" * 99 + "\n// TO" + "DO later\n",
        "src/base/wide.cc": '#include "duckdb.hpp"\n',
        "docs/d.md": "# One place\n<a id=\"other\"></a>\n",
        "src/base/place.cc": "// docs/d.md#one-place, docs/d.md#other, docs/d.md#gone, docs/e.md#x\n",
        "src/session/c.cc": '#include "sql/connect/file.h"\n#include "base/a.h"\n',
    }
    expected = ["src/base/README.md:41:", "src/base/a.h:2: base stands below io",
                "src/base/no_head.h:1: begin with", "src/base/string_utils.cc:1: 'utils'",
                "src/base/long.cc:903: 903 lines", "src/base/long.cc:902: 101 columns",
                "src/base/long.cc:903: TO" + "DO", "src/base/wide.cc:1: duckdb.hpp",
                "src/base/place.cc:1: docs/d.md has no place '#gone'",
                "src/base/place.cc:1: docs/e.md has no place '#x'",
                "src/session/c.cc:1: sql/connect is named by app alone",
                "src/session/README.md:1: missing"]
    with tempfile.TemporaryDirectory() as root:
        for path, text in bad.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        findings = tidy(root)
    missing = [e for e in expected if not any(f.startswith(e) for f in findings)]
    extra = [f for f in findings if not any(f.startswith(e) for e in expected)]
    for text in missing:
        print(f"self-test: no finding '{text}'")
    for text in extra:
        print(f"self-test: unexpected finding '{text}'")
    return 1 if missing or extra else 0


def main():
    if "--self-test" in sys.argv[1:]:
        return self_test()
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    findings = tidy(os.path.abspath(root))
    for text in findings:
        print(text)
    if findings:
        print(f"tidy: {len(findings)} finding(s)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
