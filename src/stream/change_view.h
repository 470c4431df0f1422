// change_view.h - a table's changes as rows: what `t$audit_log` and `t$binlog` show.
//
// audit_log: column `rowkind` ("+I", "-U" ...), then the table's columns; every change is a row.
// binlog: the same with each column an array; the two halves of an update are one row +U of arrays
// [before, after]. (AuditLogTable.java, BinlogTable.java)
#pragma once

#include "base/change_chunk.h"
#include "catalog/system_tables.h"

namespace millrace {

/// Turns changes of a table into rows of one of its views.
/// Threads: one at a time.
class ChangeView {
 public:
  virtual ~ChangeView() = default;
  /// The table's columns that changes must have, in this order.
  virtual const std::vector<idx_t>& TableColumns() const = 0;
  /// Hands on the rows of `changes`; its vectors may be referred to while `receive` runs. The first
  /// half of an update waits for the second.
  virtual void Show(ChangeChunk& changes, const ChangeReceiver& receive) = 0;
  /// No more changes belong to those before.
  virtual void End(const ChangeReceiver& receive) = 0;
};

/// `columns` are of the view: 0 is `rowkind`, i the table's column i - 1, whose types `table_types`
/// tells.
std::unique_ptr<ChangeView> MakeChangeView(SystemTableKind kind, const std::vector<idx_t>& columns,
                                           const duckdb::vector<LogicalType>& table_types);

}  // namespace millrace
