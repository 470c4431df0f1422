// row_checker.h - what a table cannot hold is refused at its door: NULL, too long text, too many
// digits.
//
// Times beyond a column's precision are cut, as a cast would: TIMESTAMP(3) keeps milliseconds.
#pragma once

#include "base/change_chunk.h"
#include "meta/schema.h"

namespace millrace {

/// Checks chunks of all table columns.
/// Threads: one at a time. Throws: Error(kData) naming table, column and value.
class RowChecker {
 public:
  RowChecker(const TableSchema& schema, std::string table)
      : fields_(schema.fields), table_(std::move(table)) {}
  void Check(DataChunk& rows) const;

 private:
  void CheckColumn(const DataField& field, Vector& column, idx_t count) const;
  void CheckLengths(const DataField& field, const UnifiedVectorFormat& format, idx_t count) const;
  template <typename T>
  void CheckDigits(const DataField& field, Vector& column, const UnifiedVectorFormat& format,
                   idx_t count, T limit) const;
  void CheckDecimal(const DataField& field, Vector& column, const UnifiedVectorFormat& format,
                    idx_t count) const;
  void CutTimes(const DataField& field, Vector& column, const UnifiedVectorFormat& format,
                idx_t count, int64_t unit) const;

  std::vector<DataField> fields_;
  std::string table_;
};

}  // namespace millrace
