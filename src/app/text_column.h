// text_column.h - one column of a chunk as text, in the forms that Flink prints.
//
// Rendering goes column by column: one type switch a column, one growing buffer, no string per row.
#pragma once

#include "base/duck.h"

namespace millrace {

enum class TextStyle : uint8_t {
  kPlain,  // CSV, nested values: true, NULL inside nested values.
  kTable,  // As kPlain, but TRUE and FALSE, and control characters escaped.
  kJson,   // JSON values: strings quoted, nested values as arrays and objects.
};

/// Texts of one column's rows.
struct TextColumn {
  std::string bytes;
  std::vector<idx_t> ends;  // Row i is bytes[ends[i-1], ends[i]).
  std::vector<uint8_t>
      is_null;  // Their text is empty in kPlain, "NULL" in kTable, "null" in kJson.

  idx_t size() const { return ends.size(); }
  std::string_view At(idx_t row) const {
    idx_t begin = row == 0 ? 0 : ends[row - 1];
    return std::string_view(bytes).substr(begin, ends[row] - begin);
  }
};

/// Replaces `out` by the texts of the first `count` rows of `column`.
/// Timestamps show 0, 3, 6 or 9 digits of the second, as many as the value needs.
void RenderColumn(Vector& column, idx_t count, TextStyle style, TextColumn& out);

/// Numbers stand at the right of their column.
bool IsRightAligned(const LogicalType& type);

}  // namespace millrace
