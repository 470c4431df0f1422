// data_type_parser.cc - ParseDataType: Flink's and Paimon's text of a type, by recursive descent.
//
//   type    := base nullability { ("ARRAY" | "MULTISET") nullability }
//   base    := NAME [ "(" number [ "," number ] ")" ] | ("ARRAY" | "MULTISET") "<" type ">"
//            | "MAP" "<" type "," type ">" | "ROW" ("<" | "(") [ field { "," field } ] (">" | ")")
//   field   := name type [ 'description' ]
#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "meta/data_type.h"

namespace millrace {

namespace {

struct TypeName {
  const char* name;
  TypeRoot root;
  int arguments;       // How many it may take.
  int default_length;  // Without arguments. VARCHAR alone is STRING in Flink SQL.
  int min_length;
  int max_length;
};

constexpr TypeName kTypeNames[] = {
    {"BOOLEAN", TypeRoot::kBoolean, 0, 0, 0, 0},
    {"TINYINT", TypeRoot::kTinyInt, 0, 0, 0, 0},
    {"SMALLINT", TypeRoot::kSmallInt, 0, 0, 0, 0},
    {"INT", TypeRoot::kInt, 0, 0, 0, 0},
    {"INTEGER", TypeRoot::kInt, 0, 0, 0, 0},
    {"BIGINT", TypeRoot::kBigInt, 0, 0, 0, 0},
    {"FLOAT", TypeRoot::kFloat, 0, 0, 0, 0},
    {"DOUBLE", TypeRoot::kDouble, 0, 0, 0, 0},
    {"DECIMAL", TypeRoot::kDecimal, 2, 10, 1, 38},
    {"DEC", TypeRoot::kDecimal, 2, 10, 1, 38},
    {"NUMERIC", TypeRoot::kDecimal, 2, 10, 1, 38},
    {"CHAR", TypeRoot::kChar, 1, 1, 1, kMaxLength},
    {"VARCHAR", TypeRoot::kVarChar, 1, kMaxLength, 1, kMaxLength},
    {"STRING", TypeRoot::kVarChar, 0, kMaxLength, 0, 0},
    {"BINARY", TypeRoot::kBinary, 1, 1, 1, kMaxLength},
    {"VARBINARY", TypeRoot::kVarBinary, 1, kMaxLength, 1, kMaxLength},
    {"BYTES", TypeRoot::kVarBinary, 0, kMaxLength, 0, 0},
    {"DATE", TypeRoot::kDate, 0, 0, 0, 0},
    {"TIME", TypeRoot::kTime, 1, 0, 0, 9},
    {"TIMESTAMP", TypeRoot::kTimestamp, 1, 6, 0, 9},
    {"TIMESTAMP_LTZ", TypeRoot::kTimestampLtz, 1, 6, 0, 9},
};

// What people write from other systems.
constexpr std::pair<const char*, const char*> kMeant[] = {
    {"TEXT", "STRING"},
    {"VARCHAR2", "VARCHAR(n)"},
    {"NVARCHAR", "VARCHAR(n)"},
    {"BOOL", "BOOLEAN"},
    {"LONG", "BIGINT"},
    {"INT8", "BIGINT"},
    {"INT4", "INT"},
    {"INT2", "SMALLINT"},
    {"NUMBER", "DECIMAL(p, s)"},
    {"REAL", "FLOAT"},
    {"FLOAT8", "DOUBLE"},
    {"FLOAT4", "FLOAT"},
    {"DATETIME", "TIMESTAMP(3)"},
    {"TIMESTAMPTZ", "TIMESTAMP_LTZ"},
    {"STRUCT", "ROW<name type, ...>"},
    {"LIST", "ARRAY<type>"},
    {"BYTEA", "BYTES"},
    {"MONEY", "DECIMAL(p, s)"},
    {"CLOB", "STRING"},
    {"TIMESTAMP_NTZ", "TIMESTAMP"},
};

constexpr int kMaxDepth = 100;  // Far above real types; keeps a hostile file from ending the stack.

class TypeParser {
 public:
  explicit TypeParser(std::string_view text) : text_(text) {}

  DataType ParseAll() {
    DataType type = ParseType(0);
    SkipSpace();
    if (at_ < text_.size()) Fail(fmt::format("unexpected '{}'", text_.substr(at_)));
    return type;
  }

 private:
  DataType ParseType(int depth) {
    if (depth > kMaxDepth) Fail("it is nested too deeply");
    DataType type = ParseBase(depth);
    ParseNullability(type);
    for (;;) {
      TypeRoot root;
      if (TakeWord("ARRAY")) {
        root = TypeRoot::kArray;
      } else if (TakeWord("MULTISET")) {
        root = TypeRoot::kMultiset;
      } else {
        return type;
      }
      DataType outer;
      outer.root = root;
      outer.children.push_back(std::move(type));
      ParseNullability(outer);
      type = std::move(outer);
    }
  }

  void ParseNullability(DataType& type) {
    if (TakeWord("NULL")) return;
    size_t before = at_;
    if (!TakeWord("NOT")) return;
    if (TakeWord("NULL")) {
      type.nullable = false;
    } else {
      at_ = before;
    }
  }

  DataType ParseBase(int depth) {
    std::string word = PeekWord();
    if (word.empty()) Fail(at_ < text_.size() ? "a type name is expected" : "it ends too early");
    size_t start = at_;
    at_ += word.size();
    std::string name = duckdb::StringUtil::Upper(word);
    if (name == "ARRAY" || name == "MULTISET" || name == "MAP") return ParseCollection(name, depth);
    if (name == "ROW") return ParseRow(depth);
    if (name == "VARIANT" || name == "BLOB" || name == "VECTOR") {
      Throw(ErrorCode::kUnsupported, "Type {} is not supported{}", name,
            name == "BLOB" ? "; use BYTES" : "; use STRING");
    }
    for (const TypeName& known : kTypeNames) {
      if (name == known.name) return ParseAtomic(known);
    }
    for (const auto& [other, meant] : kMeant) {
      if (name == other) Fail(fmt::format("unknown type '{}'; did you mean {}?", word, meant));
    }
    std::vector<std::string> names = {"ARRAY", "MAP", "MULTISET", "ROW"};
    for (const TypeName& known : kTypeNames) names.push_back(known.name);
    at_ = start;
    Fail(fmt::format("unknown type '{}'{}", word, DidYouMean(name, names)));
  }

  DataType ParseAtomic(const TypeName& known) {
    DataType type;
    type.root = known.root;
    type.length = known.default_length;
    if (known.arguments > 0 && Take('(')) {
      type.length = ParseNumber();
      if (known.arguments == 2 && Take(',')) type.scale = ParseNumber();
      Expect(')');
      if (type.length < known.min_length || type.length > known.max_length) {
        Fail(fmt::format("{} takes {} to {}, not {}", known.name, known.min_length,
                         known.max_length, type.length));
      }
      if (type.scale > type.length) Fail("the scale is greater than the precision");
    }
    if (known.root == TypeRoot::kDouble) TakeWord("PRECISION");
    if (known.root == TypeRoot::kTime || std::string_view(known.name) == "TIMESTAMP")
      ParseZone(type);
    return type;
  }

  void ParseZone(DataType& type) {
    if (TakeWord("WITHOUT")) {
      ExpectWord("TIME");
      ExpectWord("ZONE");
    } else if (TakeWord("WITH")) {
      if (type.root == TypeRoot::kTime || !TakeWord("LOCAL")) {
        Fail("there is no type WITH TIME ZONE; did you mean TIMESTAMP_LTZ?");
      }
      ExpectWord("TIME");
      ExpectWord("ZONE");
      type.root = TypeRoot::kTimestampLtz;
    }
  }

  DataType ParseCollection(const std::string& name, int depth) {
    DataType type;
    type.root = name == "ARRAY" ? TypeRoot::kArray
                : name == "MAP" ? TypeRoot::kMap
                                : TypeRoot::kMultiset;
    Expect('<');
    type.children.push_back(ParseType(depth + 1));
    if (name == "MAP") {
      Expect(',');
      type.children.push_back(ParseType(depth + 1));
    }
    Expect('>');
    return type;
  }

  DataType ParseRow(int depth) {
    DataType type;
    type.root = TypeRoot::kRow;
    char end = Take('(') ? ')' : '>';
    if (end == '>') Expect('<');
    if (Take(end)) return type;
    do {
      DataField field;
      SkipSpace();
      if (At('`')) {
        field.name = ParseQuoted();
      } else {
        field.name = PeekWord();
        at_ += field.name.size();
      }
      if (field.name.empty()) Fail("a field name is expected");
      Take(':');
      field.type = ParseType(depth + 1);
      SkipSpace();
      if (At('\'')) field.description = ParseQuoted();
      type.fields.push_back(std::move(field));
    } while (Take(','));
    Expect(end);
    return type;
  }

  /// The text between the quotes that start here; a doubled quote stands for one.
  std::string ParseQuoted() {
    char quote = text_[at_++];
    std::string content;
    while (at_ < text_.size()) {
      if (text_[at_] == quote) {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != quote) {
          at_++;
          return content;
        }
        at_++;
      }
      content += text_[at_++];
    }
    Fail("a quote is not closed");
  }

  int ParseNumber() {
    SkipSpace();
    int64_t number = 0;
    size_t start = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      number = std::min<int64_t>(number * 10 + (text_[at_++] - '0'), int64_t{kMaxLength} + 1);
    }
    if (at_ == start) Fail("a number is expected");
    if (number > kMaxLength) Fail(fmt::format("{} is too large", text_.substr(start, at_ - start)));
    return static_cast<int>(number);
  }

  void SkipSpace() {
    while (at_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos)
      at_++;
  }
  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    SkipSpace();
    if (!At(c)) return false;
    at_++;
    return true;
  }
  void Expect(char c) {
    if (!Take(c)) Fail(fmt::format("'{}' is expected", c));
  }
  std::string PeekWord() {
    SkipSpace();
    size_t end = at_;
    while (end < text_.size()) {
      auto c = static_cast<unsigned char>(text_[end]);
      if (std::isalnum(c) == 0 && c != '_' && c < 0x80) break;
      end++;
    }
    return std::string(text_.substr(at_, end - at_));
  }
  bool TakeWord(std::string_view upper) {
    std::string word = PeekWord();
    if (duckdb::StringUtil::Upper(word) != upper) return false;
    at_ += word.size();
    return true;
  }
  void ExpectWord(std::string_view upper) {
    if (!TakeWord(upper)) Fail(fmt::format("{} is expected", upper));
  }
  [[noreturn]] void Fail(const std::string& found) const {
    constexpr size_t kShown = 200;
    std::string shown(text_.substr(0, kShown));
    if (shown.size() < text_.size()) shown += "...";
    Throw(ErrorCode::kInvalid, "Parsing type '{}': {}", shown, found);
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

DataType ParseDataType(std::string_view text) {
  return TypeParser(text).ParseAll();
}

}  // namespace millrace
