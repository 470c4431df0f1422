"""cases.py - the generated family of tables: a pairwise cover of what a table can be, and their rows.

A case is a point of FACTORS. `cover` picks cases so that every two values of two factors that may stand together do
so in some case, and all values of the factors of TOGETHER; `Case` turns one into columns, options and seeded rows. Values are in the canonical JSON form that
java/interop/Cells.java describes.
"""
import itertools
import json
import random
import struct

# What this program cannot do yet: (factor, value). Such values are left out of the family; the summary lists them.
NOT_YET = set()

FACTORS = {
    "engine": ["deduplicate", "append", "partial-update", "aggregation", "first-row"],
    "bucket": ["1", "2", "dynamic"],
    "changelog": ["none", "input", "lookup", "full-compaction"],
    "vectors": ["off", "on"],
    "schema": ["none", "add", "rename", "widen", "drop"],
    "partition": ["none", "text", "date", "two", "numbers", "times"],
    "key": ["bigint", "text", "decimal", "times", "binary", "mixed", "small", "float"],
    "types": ["integers", "floats", "decimals", "texts", "binaries", "times", "fine times", "lists", "maps", "rows"],
    "option": ["none", "write-only", "full stats", "ignore-delete", "small files", "sequence", "sequence-descending",
               "groups", "thin"],
}

# What compactions do hangs on all of these at once.
TOGETHER = ("engine", "changelog", "vectors")

# The column that orders the rows of a key where there is one (`sequence.field`, sequence groups); others have no order.
SEQUENCE = {"integers": "v4", "floats": "v4", "decimals": "v3", "texts": "v0", "times": "v6", "fine times": "v0",
            "rows": "v2"}
# What a column becomes where types are widened: its number, its new type, values of that.
WIDER = {"integers": (1, "INT", lambda r: integers(32)(r)), "floats": (0, "DOUBLE", lambda r: plain_double(r)),
         "decimals": (1, "DECIMAL(20, 2)", lambda r: decimals(20, 2)(r)), "texts": (1, "STRING", lambda r: texts()(r)),
         "binaries": (1, "BYTES", lambda r: binaries()(r))}
# Aggregate functions by the type's first word; "*" fits all types.
FUNCTIONS = {
    "*": ["last_value", "last_non_null_value", "first_value", "first_non_null_value"],
    "BOOLEAN": ["bool_or", "bool_and"], "STRING": ["max", "min", "listagg"], "VARCHAR": ["max", "min"],
    "CHAR": ["max", "min"], "MAP": ["merge_map"], "ARRAY": ["collect"],
    **{name: ["sum", "product", "max", "min"] for name in ("TINYINT", "SMALLINT", "INT", "BIGINT")},
    **{name: ["max", "min"] for name in ("FLOAT", "DOUBLE", "DATE", "TIME", "TIMESTAMP")},
    "DECIMAL": ["sum", "max", "min"],
}


def allowed(case):
    """Whether the values of a (partial) case may stand together, by Paimon's rules."""
    engine, changelog = case.get("engine"), case.get("changelog")
    if engine == "append":
        if changelog not in (None, "none") or case.get("vectors") == "on":
            return False
        if case.get("option") in ("ignore-delete", "sequence", "sequence-descending", "groups", "write-only", "thin"):
            return False
    if engine == "first-row":
        if changelog in ("input", "full-compaction") or case.get("vectors") == "on":
            return False
        if case.get("option") in ("sequence", "sequence-descending"):
            return False
    option = case.get("option")
    if option in ("sequence", "sequence-descending", "groups") and case.get("types", "rows") not in SEQUENCE:
        return False
    if option == "groups" and engine not in (None, "partial-update"):
        return False
    if option == "groups" and changelog == "lookup":  # Of a row alone Java's changelog tells what its file does not say.
        return False
    if case.get("schema") == "widen" and case.get("types", "texts") not in WIDER:
        return False
    if case.get("vectors") == "on" and changelog == "full-compaction":
        return False
    if case.get("vectors") == "on" or changelog == "lookup" or engine == "first-row":
        # Paimon Java names its local lookup files after the partition, "/" included, and cannot compare BYTES there.
        if case.get("partition") == "text" or case.get("key") == "binary":
            return False
    if case.get("option") == "write-only" and changelog in ("lookup", "full-compaction"):
        return False
    return True


def cover(seed):
    """Cases as dicts; greedy: each next case takes the candidate that shows most pairs not seen yet."""
    choose = random.Random(seed)
    domains = {factor: [value for value in values if (factor, value) not in NOT_YET]
               for factor, values in FACTORS.items()}
    wanted = set()
    for a, b in itertools.combinations(domains, 2):
        for x, y in itertools.product(domains[a], domains[b]):
            if allowed({a: x, b: y}):
                wanted.add(((a, x), (b, y)))
    for values in itertools.product(*(domains[factor] for factor in TOGETHER)):
        if allowed(dict(zip(TOGETHER, values))):
            wanted.add(tuple(zip(TOGETHER, values)))
    cases = []
    while wanted:
        best, best_new = None, set()
        seeds = sorted(wanted)
        for _ in range(60):
            case = dict(choose.choice(seeds))
            order = [factor for factor in domains if factor not in case]
            choose.shuffle(order)
            for factor in order:
                values = [value for value in domains[factor] if allowed({**case, factor: value})]
                if not values:
                    case = None
                    break
                case[factor] = choose.choice(values)
            if case is None:
                continue
            shown = set(itertools.combinations([(f, case[f]) for f in domains], 2))
            shown.add(tuple((f, case[f]) for f in TOGETHER))
            if len(shown & wanted) > len(best_new):
                best, best_new = case, shown & wanted
        if best is None:
            raise AssertionError(f"no case shows {sorted(wanted)[:3]}: the rules contradict each other")
        wanted -= best_new
        cases.append(best)
    return cases


# --------------------------------------------------------------------- values

def hex_double(value):
    return struct.pack(">d", value).hex()


def hex_float(value):
    return struct.pack(">f", value).hex()


def decimal_text(unscaled, scale):
    sign, digits = ("-" if unscaled < 0 else ""), str(abs(unscaled)).rjust(scale + 1, "0")
    return sign + (digits[:-scale] + "." + digits[-scale:] if scale else digits)


WORDS = ["", "a", "abcdefg", "abcdefgh", "exactly16charact", "a text of more than sixteen characters",
         "zażółć gęślą jaźń, długi tekst", "中文中文中文中文中文中文中文中文中文", "\U0001f600" * 20, "~" * 30,
         "tab\tquote\"backslash\\", "\u007f", "\ue000" * 17, "\U0010ffff" * 17, "x\U0010ffff" + "\U0010ffff" * 20]


def integers(bits):
    top = 2 ** (bits - 1)

    def make(r):
        return r.choice([0, 1, -1, top - 1, -top, r.randrange(-top, top), r.randrange(-100, 100) % top])
    return make


def decimals(precision, scale):
    top = 10 ** precision

    def make(r):
        return decimal_text(r.choice([0, 1, -1, top - 1, 1 - top, r.randrange(1 - top, top), r.randrange(top) % 1000]),
                            scale)
    return make


def texts(limit=None):
    def make(r):
        text = r.choice(WORDS + ["word %d" % r.randrange(1000)] * 6)
        return text if limit is None else text[:limit]
    return make


def binaries(limit=None):
    def make(r):
        data = r.choice([b"", b"\x00", b"\xff" * 9, bytes(r.randrange(256) for _ in range(r.randrange(30)))])
        return (data if limit is None else data[:limit]).hex()
    return make


def times(precision):
    unit = 10 ** (9 - precision)

    def make(r):
        # TIMESTAMP(9) has to fit in 64-bit nanoseconds.
        millis = r.choice([0, -1, 1, 1669075200123, -62135596800000 if precision <= 6 else -9000000000000,
                           253402300799000 if precision <= 6 else 9000000000000,
                           r.randrange(-2 ** 40, 2 ** 41)])
        nanos = r.choice([0, 999999, r.randrange(1000000)]) // unit * unit if precision > 3 else 0
        if precision < 3:
            millis = millis // 10 ** (3 - precision) * 10 ** (3 - precision)
        return f"{millis}:{nanos}"
    return make


def floats(make_hex, largest):
    def make(r):
        return make_hex(r.choice([0.0, 1.5, -2.25, float("inf"), float("-inf"), largest, -largest,
                                  r.uniform(-1e6, 1e6)]))
    return make


def plain_double(r):
    return hex_double(r.uniform(-1e6, 1e6))


def lists(element):
    def make(r):
        return [maybe_null(element, r) for _ in range(r.choice([0, 1, 2, 5]))]
    return make


def maps(keys, values):
    def make(r):
        pairs = {}
        for _ in range(r.choice([0, 1, 2, 4])):
            key = keys(r)
            pairs[json.dumps(key)] = [key, maybe_null(values, r)]
        return [pairs[text] for text in sorted(pairs)]
    return make


def multisets(keys):
    def make(r):
        return [[key, r.randrange(1, 5)] for key, _ in maps(keys, keys)(r)]
    return make


def rows(*members):
    def make(r):
        return [maybe_null(member, r) for member in members]
    return make


def maybe_null(make, r):
    return None if r.random() < 0.15 else make(r)


def row_type(*members):
    return {"type": "ROW", "fields": [{"id": i, "name": name, "type": kind} for i, (name, kind) in enumerate(members)]}


def boolean(r):
    return r.random() < 0.5


def day(r):
    return r.choice([0, -1, 19318, -719162, 2932896, r.randrange(-30000, 60000)])


def time_of_day(r):
    return r.choice([0, 86399999, r.randrange(86400000)])


# name -> (type, generator) of the value columns.
TYPES = {
    "integers": [("BOOLEAN", boolean), ("TINYINT", integers(8)), ("SMALLINT", integers(16)), ("INT", integers(32)),
                 ("BIGINT", integers(64)), ("INT NOT NULL", integers(32))],
    "floats": [("FLOAT", floats(hex_float, struct.unpack(">f", bytes.fromhex("7f7fffff"))[0])),
               ("DOUBLE", floats(hex_double, 1.7976931348623157e308)),
               ("DOUBLE", lambda r: hex_double(r.choice([float("nan"), 1.0, -0.0, 0.0]))),
               ("FLOAT", lambda r: hex_float(r.choice([float("nan"), -0.0, 0.0, 3.5]))), ("DOUBLE", plain_double)],
    "decimals": [("DECIMAL(1, 0)", decimals(1, 0)), ("DECIMAL(9, 2)", decimals(9, 2)),
                 ("DECIMAL(10, 10)", decimals(10, 10)), ("DECIMAL(18, 4)", decimals(18, 4)),
                 ("DECIMAL(19, 0)", decimals(19, 0)), ("DECIMAL(38, 18)", decimals(38, 18)),
                 ("DECIMAL(20, 5) NOT NULL", decimals(20, 5))],
    "texts": [("STRING", texts()), ("VARCHAR(5)", texts(5)), ("CHAR(8)", texts(8)), ("STRING NOT NULL", texts())],
    "binaries": [("BYTES", binaries()), ("VARBINARY(9)", binaries(9)),
                 ("BINARY(3)", lambda r: bytes(r.randrange(256) for _ in range(3)).hex())],
    "times": [("DATE", day), ("TIME(0)", lambda r: time_of_day(r) // 1000 * 1000), ("TIME(3)", time_of_day),
              ("TIMESTAMP(0)", times(0)), ("TIMESTAMP(3)", times(3)), ("TIMESTAMP(4)", times(4)),
              ("TIMESTAMP(6)", times(6)), ("TIMESTAMP(3) WITH LOCAL TIME ZONE", times(3)),
              ("TIMESTAMP(6) WITH LOCAL TIME ZONE", times(6))],
    "fine times": [("TIMESTAMP(7)", times(7)), ("TIMESTAMP(9)", times(9)),
                   ("TIMESTAMP(9) WITH LOCAL TIME ZONE", times(9)), ("TIMESTAMP(2)", times(2))],
    "lists": [({"type": "ARRAY", "element": "INT"}, lists(integers(32))),
              ({"type": "ARRAY", "element": "STRING NOT NULL"}, lambda r: [texts()(r) for _ in range(r.randrange(3))]),
              ({"type": "ARRAY", "element": {"type": "ARRAY", "element": "DECIMAL(20, 2)"}},
               lists(lists(decimals(20, 2)))),
              ({"type": "ARRAY", "element": "TIMESTAMP(3)"}, lists(times(3)))],
    "maps": [({"type": "MAP", "key": "STRING", "value": "BIGINT"}, maps(texts(), integers(64))),
             ({"type": "MULTISET", "element": "STRING"}, multisets(texts())),
             ({"type": "MAP", "key": "INT", "value": {"type": "ARRAY", "element": "DOUBLE"}},
              maps(integers(32), lists(plain_double))),
             ({"type": "MAP", "key": "STRING NOT NULL", "value": row_type(("m", "INT"), ("n", "STRING"))},
              maps(texts(), rows(integers(32), texts())))],
    "rows": [(row_type(("a", "INT"), ("b", "STRING")), rows(integers(32), texts())),
             (row_type(("x", row_type(("y", "DECIMAL(9, 2)"), ("z", "DATE"))), ("l", {"type": "ARRAY", "element": row_type(
                 ("t", "TIMESTAMP(6)"))})), rows(rows(decimals(9, 2), day), lists(rows(times(6))))),
             ("INT", integers(32))],
}

KEYS = {
    "bigint": [("BIGINT", integers(64))],
    "text": [("STRING", texts())],
    "decimal": [("DECIMAL(30, 3)", decimals(30, 3)), ("DECIMAL(12, 1)", decimals(12, 1))],
    "times": [("TIMESTAMP(6)", times(6)), ("DATE", day), ("TIMESTAMP(3) WITH LOCAL TIME ZONE", times(3))],
    "binary": [("BYTES", binaries()), ("BOOLEAN", boolean)],
    "mixed": [("INT", integers(32)), ("VARCHAR(20)", texts(20)), ("TIME(3)", time_of_day)],
    "small": [("SMALLINT", integers(16)), ("TINYINT", integers(8))],
    "float": [("DOUBLE", lambda r: hex_double(r.choice([1.5, -2.0, 1e300, float("inf"), r.uniform(-9, 9)]))),
              ("FLOAT", lambda r: hex_float(r.choice([0.5, -7.25, 3e30])))],
}

PARTITIONS = {
    "none": [],
    "text": [("STRING", lambda r: r.choice(["b/c=d %", "zażółć, a long partition value {1}"]))],
    "date": [("DATE", lambda r: r.choice([19318, -1]))],
    "two": [("INT", lambda r: -2), ("CHAR(4)", lambda r: r.choice(["p", "qqqq"]))],
    "numbers": [("BOOLEAN", boolean), ("DECIMAL(22, 2)", lambda r: "-0.07")],
    "times": [("TIMESTAMP(6)", lambda r: r.choice(["1669075200000:0", "1669075200123:456000"])),
              ("DOUBLE", lambda r: hex_double(1e20))],
}


class Case:
    """Columns, options and rows of one case. Rows come from a small set of keys, so that they meet again."""

    def __init__(self, number, factors):
        self.number, self.factors = number, factors
        self.random = random.Random(f"case {number} {sorted(factors.items())}")
        self.keyed = factors["engine"] != "append"
        self.key = [(f"k{i}", *column) for i, column in enumerate(KEYS[factors["key"]])]
        self.partition = [(f"p{i}", *column) for i, column in enumerate(PARTITIONS[factors["partition"]])]
        self.values = [(f"v{i}", *column) for i, column in enumerate(TYPES[factors["types"]])]
        if factors["engine"] in ("partial-update", "aggregation"):  # A merged value may be NULL.
            self.values = [(name, kind.replace(" NOT NULL", "") if isinstance(kind, str) else kind, make)
                           for name, kind, make in self.values]
        self.functions = {}
        if factors["engine"] == "aggregation":
            self.choose_functions()
        self.changed = None
        if factors["schema"] in ("rename", "drop", "widen"):
            self.changed = self.column_to_change()
            self.functions.pop(f"fields.{self.changed}.aggregate-function", None)
        self.keys = [[make(self.random) for _, _, make in self.key + self.partition] for _ in range(50)]

    def __str__(self):
        return f"t{self.number}: " + ", ".join(f"{name} {value}" for name, value in self.factors.items()
                                               if value not in ("none", "off"))

    def columns(self):
        # The key stands behind a value column: nothing may rely on its coming first.
        return self.values[:1] + self.key + self.partition + self.values[1:]

    def definition(self):
        options = {"bucket": "-1" if self.factors["bucket"] == "dynamic" else self.factors["bucket"]}
        if self.keyed:
            options["merge-engine"] = self.factors["engine"]
            options["changelog-producer"] = self.factors["changelog"]
        elif options["bucket"] == "1":
            options["bucket"] = "-1"
        elif options["bucket"] != "-1":
            options["bucket-key"] = ",".join(name for name, _, _ in self.key)
        if not self.keyed:
            options["write-only"] = "true"  # Small files stay until somebody is asked to compact them.
        if self.factors["vectors"] == "on":
            options["deletion-vectors.enabled"] = "true"
        if self.factors["vectors"] == "on" or self.factors["changelog"] == "lookup":
            # Level 0 goes up at each commit, and nothing else by the sizes of files, which are each writer's own: a row
            # that is compacted alone is merged by Paimon's lookup functions, and may change.
            options.update({"num-sorted-run.compaction-trigger": "20", "compaction.max-size-amplification-percent": "100000",
                            "compaction.size-ratio": "-100"})
        options.update({
            "write-only": {"write-only": "true"}, "full stats": {"metadata.stats-mode": "full"},
            "ignore-delete": {"ignore-delete": "true"}, "small files": {"num-sorted-run.compaction-trigger": "2"},
            "sequence": {"sequence.field": SEQUENCE.get(self.factors["types"])},
            "sequence-descending": {"sequence.field": SEQUENCE.get(self.factors["types"]),
                                    "sequence.field.sort-order": "descending"},
            "groups": self.groups(), "thin": {"data-file.thin-mode": "true"}, "none": {}}[self.factors["option"]])
        if self.factors["engine"] == "aggregation":
            options.update(self.functions)
        keys = [name for name, _, _ in self.partition + self.key] if self.keyed else []
        return {"fields": [{"id": i, "name": name, "type": kind} for i, (name, kind, _) in enumerate(self.columns())],
                "primaryKeys": keys, "partitionKeys": [name for name, _, _ in self.partition], "options": options}

    def groups(self):
        """Half of the value columns change together, in the order of the sequence column."""
        order = SEQUENCE.get(self.factors["types"])
        others = [name for name, _, _ in self.values if name != order]
        return {f"fields.{order}.sequence-group": ",".join(others[::2])}

    def column_to_change(self):
        """A value column that no option names, but those of aggregate functions."""
        if self.factors["schema"] == "widen":
            return f"v{WIDER[self.factors['types']][0]}"
        order = SEQUENCE.get(self.factors["types"])
        return [name for name, _, _ in self.values if name != order][1]

    def change_schema(self):
        """The request that does it; rows have the columns of the new schema from here on."""
        what = self.factors["schema"]
        if what == "add":
            self.values.append(("added", "STRING", texts()))
            return {"change": "add", "column": "added", "type": "STRING"}
        place = [name for name, _, _ in self.values].index(self.changed)
        if what == "drop":
            del self.values[place]
            return {"change": "drop", "column": self.changed}
        name, kind, make = self.values[place]
        if what == "rename":
            self.values[place] = ("renamed", kind, make)
            return {"change": "rename", "column": name, "name": "renamed"}
        _, kind, make = WIDER[self.factors["types"]]
        self.values[place] = (name, kind, make)
        return {"change": "widen", "column": name, "type": kind}

    def choose_functions(self):
        """A function for each value column; sums and products are kept away from the ends of their types."""
        sequence = SEQUENCE.get(self.factors["types"]) if "sequence" in self.factors["option"] else None
        for i, (name, kind, make) in enumerate(self.values):
            word = kind["type"] if isinstance(kind, dict) else kind.split("(")[0].split(" ")[0]
            function = self.random.choice(FUNCTIONS.get(word, []) * 2 + FUNCTIONS["*"])
            if name == sequence:
                continue
            self.functions[f"fields.{name}.aggregate-function"] = function
            if function in ("sum", "product"):
                scale = int(kind.split(",")[1].split(")")[0]) if word == "DECIMAL" else None
                small = [1, -1, 0] if function == "product" or kind == "DECIMAL(1, 0)" else [1, -1, 0, 2, 3]
                self.values[i] = (name, kind, lambda r, s=scale, n=small: r.choice(n) if s is None
                                  else decimal_text(r.choice(n), s))

    def takes_deletes(self):
        return self.keyed and (self.factors["engine"] == "deduplicate" or self.factors["option"] == "ignore-delete")

    def row(self, kind):
        drawn = self.random.choice(self.keys)
        if not self.keyed:
            drawn = [maybe_null(lambda _, v=value: v, self.random) for value in drawn]
        by_name = dict(zip([name for name, _, _ in self.key + self.partition], drawn))
        return [kind] + [by_name[name] if name in by_name else
                         make(self.random) if "NOT NULL" in str(kind_) and isinstance(kind_, str)
                         else maybe_null(make, self.random) for name, kind_, make in self.columns()]

    def batch(self, count):
        """`count` changes. An update is -U and +U of one key only where both are stored."""
        if self.factors["option"] == "sequence-descending":
            # One row per key: Java's write buffer lets the greatest sequence win, its readers the least.
            names = [name for name, _, _ in self.columns()]
            places = [names.index(name) + 1 for name, _, _ in self.key + self.partition]
            return list({json.dumps([row[i] for i in places]): row
                         for row in [self.row("+I") for _ in range(count)]}.values())
        rows_ = []
        while len(rows_) < count:
            kind = self.random.choice(["+I", "+I", "+U", "-D"]) if self.takes_deletes() else "+I"
            if kind == "+U" and self.factors["changelog"] == "input":
                before = self.row("-U")
                after = self.row("+U")
                names = [name for name, _, _ in self.columns()]
                for name, _, _ in self.key + self.partition:
                    after[names.index(name) + 1] = before[names.index(name) + 1]
                rows_ += [before, after]
            else:
                rows_.append(self.row(kind))
        return rows_

    def some_key(self):
        """[column, value] of a key column, for a filtered read."""
        name, _, _ = self.key[0]
        return [name, self.random.choice(self.keys)[0]]
