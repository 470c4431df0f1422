// value_text.h - values of vectors as text: the one writer behind files, printed changes, the
// screen.
//
// A form says how values look; the type of the vector says what they are. Whole columns are written
// with one switch on the type each; rows, as records need them, with one a cell.
#pragma once

#include "base/duck.h"
#include "duckdb/common/types/vector.hpp"

namespace millrace {

/// How values look as text.
struct TextForm {
  enum class Nested : uint8_t { kSql, kJson, kJava };         // (1, b)  {"x":1}  +I[1, b]
  enum class Strings : uint8_t { kRaw, kEscaped, kQuoted };   // Escaped: no control characters.
  enum class Bytes : uint8_t { kHex, kBase64, kSigned };      // x'01ff'  Af8=  [1, -1]
  enum class Fraction : uint8_t { kNeeded, kThrees, kJava };  // .5  .500  and :00 goes away.

  Nested nested = Nested::kSql;
  Strings strings = Strings::kRaw;
  Bytes bytes = Bytes::kHex;
  Fraction fraction = Fraction::kThrees;
  char separator = ' ';              // Between date and time.
  bool zone_suffix = false;          // 'Z' behind TIMESTAMP_LTZ, which is written in UTC.
  bool upper_booleans = false;       // TRUE
  const char* null_text = "";        // Of a value.
  const char* null_member = "NULL";  // Inside other values.
};

/// What queries show. Their TIMESTAMP_LTZ is local time already.
inline constexpr TextForm kPlainText;
inline constexpr TextForm kTableText{
    .strings = TextForm::Strings::kEscaped, .upper_booleans = true, .null_text = "NULL"};
inline constexpr TextForm kJsonText{.nested = TextForm::Nested::kJson,
                                    .strings = TextForm::Strings::kQuoted,
                                    .null_text = "null",
                                    .null_member = "null"};
/// What files hold, as Flink's formats write it.
inline constexpr TextForm kCsvField{.bytes = TextForm::Bytes::kBase64,
                                    .fraction = TextForm::Fraction::kNeeded,
                                    .zone_suffix = true};
inline constexpr TextForm kJsonMember{.nested = TextForm::Nested::kJson,
                                      .strings = TextForm::Strings::kQuoted,
                                      .bytes = TextForm::Bytes::kBase64,
                                      .fraction = TextForm::Fraction::kNeeded,
                                      .zone_suffix = true,
                                      .null_text = "null",
                                      .null_member = "null"};
/// What Flink's print connector shows: the forms of Java's toString.
inline constexpr TextForm kPrintedText{.nested = TextForm::Nested::kJava,
                                       .bytes = TextForm::Bytes::kSigned,
                                       .fraction = TextForm::Fraction::kJava,
                                       .separator = 'T',
                                       .zone_suffix = true,
                                       .null_text = "null",
                                       .null_member = "null"};

/// Texts of one column's rows.
struct TextColumn {
  std::string bytes;
  std::vector<idx_t> ends;       // Row i is bytes[ends[i-1], ends[i]).
  std::vector<uint8_t> is_null;  // Their text is the form's `null_text`.

  idx_t size() const { return ends.size(); }
  std::string_view At(idx_t row) const {
    idx_t begin = row == 0 ? 0 : ends[row - 1];
    return std::string_view(bytes).substr(begin, ends[row] - begin);
  }
};

/// Replaces `out` by the texts of the first `count` rows of `column`; also of types that only
/// DuckDB has.
void RenderColumn(Vector& column, idx_t count, const TextForm& form, TextColumn& out);

/// A column whose rows can be written one by one.
using ReadableColumn = duckdb::RecursiveUnifiedVectorFormat;

/// Appends row `row` of a column. Throws: Error(kUnsupported) for types that only DuckDB has.
void AppendValue(const ReadableColumn& column, idx_t row, const TextForm& form, std::string& out);

/// Appends `text` as a JSON string with its quotes.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace millrace
