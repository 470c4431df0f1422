// String functions with Flink's edge cases: NULL for impossible arguments, positions by character.
//
// Those with rules of their own are kernels over rows with one reused buffer; the others are macros
// over DuckDB's functions, qualified as system.main so that they do not find themselves.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sql/function_registry.h"

namespace millrace {

namespace {

// One argument of one row.
struct Argument {
  std::string_view text;
  int64_t number = 0;
};

constexpr idx_t kArgumentsMax = 8;

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

int64_t CharCount(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); });
}

// Byte offset of character `index` (from 0), or the size.
idx_t ByteOf(std::string_view text, int64_t index) {
  idx_t at = 0;
  while (at < text.size() && index > 0) {
    at++;
    while (at < text.size() && IsContinuation(text[at])) at++;
    index--;
  }
  return at;
}

template <class Result>
void Store(Vector& result, Result* data, idx_t row, const std::string& buffer, int64_t number) {
  if constexpr (std::is_same_v<Result, string_t>) {
    data[row] = duckdb::StringVector::AddString(result, buffer.data(), buffer.size());
  } else {
    data[row] = static_cast<Result>(number);
  }
}

// A kernel fills `text` or `number` and returns false for NULL. NULL in, NULL out.
template <class Result, auto kernel>
void Run(DataChunk& arguments, duckdb::ExpressionState&, Vector& result) {
  idx_t count = arguments.AllConstant() ? 1 : arguments.size(), columns = arguments.ColumnCount();
  std::vector<UnifiedVectorFormat> formats(columns);
  std::vector<bool> is_text(columns);
  for (idx_t c = 0; c < columns; c++) {
    arguments.data[c].ToUnifiedFormat(count, formats[c]);
    is_text[c] = arguments.data[c].GetType().InternalType() == duckdb::PhysicalType::VARCHAR;
  }
  std::vector<Argument> row_arguments(columns);
  std::string text;
  result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
  auto out = duckdb::FlatVector::GetData<Result>(result);
  auto& validity = duckdb::FlatVector::Validity(result);
  for (idx_t row = 0; row < count; row++) {
    bool valid = true;
    for (idx_t c = 0; c < columns && valid; c++) {
      idx_t index = formats[c].sel->get_index(row);
      valid = formats[c].validity.RowIsValid(index);
      if (!valid) break;
      if (is_text[c]) {
        const string_t& value = UnifiedVectorFormat::GetData<string_t>(formats[c])[index];
        row_arguments[c].text = std::string_view(value.GetData(), value.GetSize());
      } else {
        row_arguments[c].number = UnifiedVectorFormat::GetData<int64_t>(formats[c])[index];
      }
    }
    int64_t number = 0;
    text.clear();
    if (valid && kernel(row_arguments, text, number))
      Store<Result>(result, out, row, text, number);
    else
      validity.SetInvalid(row);
  }
  if (arguments.AllConstant()) result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
}

using Row = const std::vector<Argument>&;

bool Substring(Row row, std::string& out, int64_t&) {
  std::string_view text = row[0].text;
  int64_t start = row[1].number, length = row.size() > 2 ? row[2].number : INT32_MAX;
  if (length < 0) return false;
  int64_t from = start > 0 ? start - 1 : 0;
  if (start < 0) {
    int64_t count = CharCount(text);
    if (-start > count) return true;  // Before the first character: ''.
    from = count + start;
  }
  idx_t begin = ByteOf(text, from);
  std::string_view rest = text.substr(begin);
  out.assign(rest.substr(0, ByteOf(rest, length)));
  return true;
}

// Appends `pad` over and over up to `count` characters.
void AppendPadding(std::string& out, std::string_view pad, int64_t count) {
  int64_t pad_chars = CharCount(pad);
  for (; count >= pad_chars; count -= pad_chars) out.append(pad);
  out.append(pad.substr(0, ByteOf(pad, count)));
}

template <bool left>
bool Pad(Row row, std::string& out, int64_t&) {
  std::string_view text = row[0].text, pad = row[2].text;
  int64_t length = row[1].number;
  constexpr int64_t kLengthMax = 1 << 28;
  if (length < 0 || length > kLengthMax || pad.empty()) return false;
  int64_t missing = length - CharCount(text);
  if (missing <= 0) {
    out.assign(text.substr(0, ByteOf(text, length)));
    return true;
  }
  if (left) AppendPadding(out, pad, missing);
  out.append(text);
  if (!left) AppendPadding(out, pad, missing);
  return true;
}

bool SplitIndex(Row row, std::string& out, int64_t&) {
  std::string_view text = row[0].text, separator = row[1].text;
  int64_t index = row[2].number;
  if (index < 0 || text.empty()) return false;
  if (separator.empty()) {
    out.assign(text);
    return index == 0;
  }
  for (; index > 0; index--) {
    idx_t at = text.find(separator);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + separator.size());
  }
  out.assign(text.substr(0, text.find(separator)));
  return true;
}

// Position of `needle` in `text` at or after character `from` (from 1); 0 if there is none.
int64_t Find(std::string_view needle, std::string_view text, int64_t from) {
  if (from < 1) return 0;
  idx_t begin = ByteOf(text, from - 1);
  idx_t at = text.find(needle, begin);
  return at == std::string_view::npos ? 0 : CharCount(text.substr(0, at)) + 1;
}

bool Locate(Row row, std::string&, int64_t& out) {
  out = Find(row[0].text, row[1].text, row.size() > 2 ? row[2].number : 1);
  return true;
}

bool Instr(Row row, std::string&, int64_t& out) {
  out = Find(row[1].text, row[0].text, 1);
  return true;
}

bool Overlay(Row row, std::string& out, int64_t&) {
  std::string_view text = row[0].text, with = row[1].text;
  int64_t start = row[2].number, length = row.size() > 3 ? row[3].number : CharCount(with);
  int64_t count = CharCount(text);
  if (start <= 0 || start > count) {
    out.assign(text);
    return true;
  }
  out.assign(text.substr(0, ByteOf(text, start - 1)));
  out.append(with);
  if (length > 0 && start + length <= count)
    out.append(text.substr(ByteOf(text, start - 1 + length)));
  return true;
}

bool InitCap(Row row, std::string& out, int64_t&) {
  bool inside = false;
  for (char c : row[0].text) {
    unsigned char byte = static_cast<unsigned char>(c);
    bool part = byte >= 0x80 || std::isalnum(byte);
    out += static_cast<char>(byte >= 0x80 ? c : inside ? std::tolower(byte) : std::toupper(byte));
    inside = part;
  }
  return true;
}

bool Concat(Row row, std::string& out, int64_t&) {
  for (const Argument& argument : row) out.append(argument.text);
  return true;
}

bool CharLength(Row row, std::string&, int64_t& out) {
  out = CharCount(row[0].text);
  return true;
}

const LogicalType kText = LogicalType::VARCHAR, kNumber = LogicalType::BIGINT;
using Types = duckdb::vector<LogicalType>;

template <auto kernel>
void Texts(FunctionRegistry& registry, const char* name, std::initializer_list<Types> signatures) {
  duckdb::ScalarFunctionSet set(name);
  for (const Types& types : signatures)
    set.AddFunction(duckdb::ScalarFunction(name, types, kText, Run<string_t, kernel>));
  registry.Scalars(set);
}

template <auto kernel>
void Integers(FunctionRegistry& registry, const char* name,
              std::initializer_list<Types> signatures) {
  duckdb::ScalarFunctionSet set(name);
  for (const Types& types : signatures) {
    set.AddFunction(
        duckdb::ScalarFunction(name, types, LogicalType::INTEGER, Run<int32_t, kernel>));
  }
  registry.Scalars(set);
}

// DuckDB's own ignore NULLs; Flink's are NULL when any argument is.
void Extremes(FunctionRegistry& registry, const std::string& name) {
  std::string overloads;
  for (idx_t count = 1; count <= kArgumentsMax; count++) {
    std::string names, nulls;
    for (idx_t i = 0; i < count; i++) {
      names += fmt::format("{}a{}", i == 0 ? "" : ", ", i);
      nulls += fmt::format("{}a{} IS NULL", i == 0 ? "" : " OR ", i);
    }
    overloads += fmt::format("{}({}) AS CASE WHEN {} THEN NULL ELSE system.main.{}({}) END",
                             count == 1 ? "" : ", ", names, nulls, name, names);
  }
  registry.Macro(name + overloads);
}

BindData BindCardinality(duckdb::ClientContext& context, duckdb::ScalarFunction& bound,
                         Expressions& arguments) {
  auto types = TypesOf(arguments);
  return Delegate(context, types[0].id() == LogicalTypeId::MAP ? "cardinality" : "len", bound,
                  arguments, types);
}

constexpr const char* kMacros[] = {
    "btrim(s) AS system.main.\"trim\"(s), (s, c) AS system.main.\"trim\"(s, c)",
    "nvl(a, b) AS coalesce(a, b)",
    "to_base64(s) AS system.main.base64(encode(s))",
    "from_base64(s) AS decode(system.main.from_base64(s))",
    "uuid() AS CAST(system.main.uuid() AS VARCHAR)",
    "rand() AS system.main.random()",
    "rand_integer(n) AS CAST(floor(system.main.random() * CAST(n AS DOUBLE)) AS INTEGER)",
    "log(x) AS ln(x), (b, x) AS ln(x) / ln(b)",
    "regexp(s, p) AS regexp_matches(s, p)",
    "regexp_extract(s, p) AS CASE WHEN regexp_matches(s, p) THEN system.main.regexp_extract(s, p) "
    "END, "
    "(s, p, g) AS CASE WHEN regexp_matches(s, p) THEN system.main.regexp_extract(s, p, g) END",
    "regexp_replace(s, p, r) AS system.main.regexp_replace(s, p, replace(r, '\\', '\\\\'), 'g')",
    "is_alpha(s) AS coalesce(regexp_full_match(CAST(s AS VARCHAR), '\\p{L}+'), false)",
    "is_digit(s) AS coalesce(regexp_full_match(CAST(s AS VARCHAR), '\\p{Nd}+'), false)",
    "is_decimal(s) AS coalesce(regexp_full_match(CAST(s AS VARCHAR), "
    "'[-+]?([0-9]+\\.?[0-9]*|\\.[0-9]+)'), false)",
    "json_path_value(j, p) AS CASE WHEN NOT json_valid(j) OR json_type(j, p) IN ('OBJECT', "
    "'ARRAY') THEN NULL "
    "ELSE json_extract_string(j, p) END",
    "json_path_exists(j, p) AS CASE WHEN json_valid(j) THEN json_exists(j, p) END",
};

}  // namespace

void RegisterStrings(FunctionRegistry& registry) {
  for (const char* name : {"substr", "substring"}) {
    Texts<Substring>(registry, name, {{kText, kNumber}, {kText, kNumber, kNumber}});
  }
  Texts<Pad<true>>(registry, "lpad", {{kText, kNumber, kText}});
  Texts<Pad<false>>(registry, "rpad", {{kText, kNumber, kText}});
  Texts<SplitIndex>(registry, "split_index", {{kText, kText, kNumber}});
  Texts<Overlay>(registry, "overlay", {{kText, kText, kNumber}, {kText, kText, kNumber, kNumber}});
  Texts<InitCap>(registry, "initcap", {{kText}});
  duckdb::ScalarFunction concat("concat", {}, kText, Run<string_t, Concat>);
  concat.SetVarArgs(kText);
  registry.Scalar(concat);
  Integers<Locate>(registry, "locate", {{kText, kText}, {kText, kText, kNumber}});
  Integers<Instr>(registry, "instr", {{kText, kText}});
  Integers<CharLength>(registry, "char_length", {{kText}});
  Integers<CharLength>(registry, "character_length", {{kText}});
  Extremes(registry, "greatest");
  Extremes(registry, "least");
  duckdb::ScalarFunction cardinality("cardinality", {LogicalType::ANY}, LogicalType::BIGINT,
                                     nullptr, BindCardinality);
  registry.Scalar(cardinality);
  for (const char* macro : kMacros) registry.Macro(macro);
}

}  // namespace millrace
