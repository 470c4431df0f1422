// change_rows.h - rows as texts, for tests: folded, sorted, compared, shown as a difference.
#pragma once

#include "base/change_chunk.h"

namespace millrace {

using TextRow = std::vector<std::string>;  // NULL is "NULL", the empty text "(empty)".

struct ChangeRow {
  RowKind kind = RowKind::kInsert;
  TextRow values;
};

/// Appends the rows of `chunk`.
void AppendRows(ChangeChunk& chunk, std::vector<ChangeRow>& rows);

/// The rows that are there after all changes, sorted. `problem` names a row that left without
/// having come (its count is below zero), else stays empty.
std::vector<TextRow> Fold(const std::vector<ChangeRow>& changes, std::string& problem);

/// As in an .slt file: "1 | a | NULL".
std::string ToLine(const TextRow& row);

/// True when equal, row by row; columns marked 'R' in `types` to 1e-9 relative.
bool SameRows(const std::vector<TextRow>& left, const std::vector<TextRow>& right,
              const std::string& types);

/// "- expected" and "+ actual" lines, equal ones left out but for a little around.
std::string Difference(const std::vector<TextRow>& expected, const std::vector<TextRow>& actual);

/// 'R' for floating columns, '?' else.
std::string TypeLetters(const duckdb::vector<LogicalType>& types);

}  // namespace millrace
