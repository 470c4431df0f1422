// row_kinds.h - the kinds of rows on their way into a table: where they come from, which it takes.
#pragma once

#include "base/change_chunk.h"
#include "table/row_router.h"
#include "table/table_options.h"

namespace millrace {

/// Knows which rows a table with a primary key takes.
/// Threads: one at a time. Throws: Error(kData) naming table and column.
class RowKinds {
 public:
  /// `schema`, `options` outlive it. `table` names it in errors.
  RowKinds(const TableSchema& schema, const TableOptions& options, std::string table);
  /// Kinds of `chunk` as its `rowkind.field` says, if the table has one.
  void Read(ChangeChunk& chunk);
  /// Refuses -U and -D where no later merge could take them back.
  void Check(const ChangeChunk& chunk) const;
  /// Leaves out each -U that its own +U follows, where it says nothing new to the table. `key`:
  /// columns of the primary key.
  void LeaveOutPairs(ChangeChunk& chunk, const std::vector<idx_t>& key, RoutedRows& routed) const;

 private:
  const TableSchema& schema_;
  const TableOptions& options_;
  const std::string table_;
  std::optional<std::string> no_update_before_, no_delete_;  // Why.
  bool pairs_are_redundant_;
};

}  // namespace millrace
