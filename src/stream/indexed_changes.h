// indexed_changes.h - what changed in a primary-key table between two of its snapshots, by looking
// the changed keys up in both.
//
// A table whose files tell new rows only (or, with a merge engine, parts of rows) has the old ones
// itself: the table is its own index, so that those who follow it need no copy of it. A key costs
// two point lookups; keys are looked up in their order, so that neighbours share blocks.
#pragma once

#include "stream/source.h"
#include "table/table.h"
#include "table/table_lookup.h"

namespace millrace {

/// Why the changes of `table` cannot be told so; "" when they can.
std::string WhyNotIndexed(const Table& table);

/// Threads: owned by its source. Throws: Error(kNotFound) when a snapshot has expired;
/// Error(kCorrupt, kIo) naming the file.
class IndexedChanges {
 public:
  /// `columns`: of the table's, in the order of the chunks that are given. Local copies of the
  /// files that are looked into lie below `folder`.
  IndexedChanges(std::shared_ptr<const Table> table, std::vector<idx_t> columns,
                 const std::string& folder);

  /// The changes from one snapshot (0: nothing) to a later one, by key: for each key that `splits`
  /// (of all snapshots between) name, -U +U, -D or +I, or nothing where the row is the same.
  void Read(int64_t from, int64_t to, const std::vector<Split>& splits,
            const ChangeReceiver& receive);

 private:
  /// Rows of one chunk of keys, and which of them each belongs to.
  struct Found {
    DataChunk rows;
    SelectionVector keys{kChunkRows};
    idx_t count = 0;
  };
  void CollectKeys(const std::vector<Split>& splits);
  void SortKeys();
  void FillKeys(idx_t start, idx_t end);
  void TellBlock(idx_t begin, idx_t end, int64_t from, int64_t to, const ChangeReceiver& receive);
  void Tell(Found& before, Found& after, const ChangeReceiver& receive);
  std::vector<bool> SameRows(Found& before, Found& after);
  void Add(idx_t row, RowKind kind) {
    order_.set_index(kinds_.size(), row);
    kinds_.push_back(kind);
  }
  void Flush(const ChangeReceiver& receive);

  const std::shared_ptr<const Table> table_;
  const std::vector<idx_t> key_columns_;
  duckdb::vector<LogicalType> key_types_, types_;
  TableLookup lookup_;

  std::vector<Vector> keys_;  // One per key column, `capacity_` rows each.
  idx_t capacity_ = 0, key_count_ = 0;
  std::vector<uint32_t> sorted_;  // Distinct ones.
  DataChunk key_chunk_;
  DataChunk both_;  // Old rows, then new ones, of one chunk of keys.
  SelectionVector order_{kChunkRows};
  std::vector<RowKind> kinds_;
};

}  // namespace millrace
