// row_packer.h - rows as bytes, for the local files of point lookups.
//
// Null bits, then the values one after the other: fixed ones in their width, texts and nested ones
// after a 4-byte length. For files that live as long as the process: they follow DuckDB's version.
#pragma once

#include "base/duck.h"

namespace millrace {

/// Threads: one at a time.
class RowPacker {
 public:
  explicit RowPacker(duckdb::vector<LogicalType> types);

  const duckdb::vector<LogicalType>& types() const { return types_; }
  /// The rows that Append takes from; used until the next Start.
  void Start(DataChunk& rows);
  /// Appends row `row` to `out`.
  void Append(idx_t row, std::string& out);
  /// Sets row `target` of `rows`, whose vectors are flat. False when `bytes` are no such row.
  [[nodiscard]] bool Unpack(std::string_view bytes, DataChunk& rows, idx_t target) const;

 private:
  enum class Kind : uint8_t { kFixed, kText, kNested };
  struct Column {
    Kind kind;
    idx_t width = 0;  // Of kFixed.
    UnifiedVectorFormat format = {};
  };

  duckdb::vector<LogicalType> types_;
  std::vector<Column> columns_;
  DataChunk* rows_ = nullptr;
};

}  // namespace millrace
