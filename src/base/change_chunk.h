// change_chunk.h - the one currency of streams: a columnar chunk of rows, each with its row kind.
//
// A change is a row with a weight, +1 or -1; Flink's row kind carries the weight's sign and, on
// ordered paths, says which rows are the two halves of an update (docs/ARCHITECTURE.md#changes).
#pragma once

#include "base/duck.h"

namespace millrace {

/// Numbered as Paimon stores them in _VALUE_KIND (RowKind.java).
enum class RowKind : uint8_t { kInsert = 0, kUpdateBefore = 1, kUpdateAfter = 2, kDelete = 3 };

/// True for the kinds that add a row (+I, +U).
inline bool IsAdd(RowKind kind) {
  return kind == RowKind::kInsert || kind == RowKind::kUpdateAfter;
}
/// +1 or -1.
inline int Weight(RowKind kind) {
  return IsAdd(kind) ? 1 : -1;
}
/// "+I" "-U" "+U" "-D", as Flink prints them.
const char* RowKindName(RowKind kind);

/// How far the rows of a stream may be trusted (docs/ARCHITECTURE.md#changelog-types).
enum class ChangelogType : uint8_t {
  kAppend,  // Inserts only.
  kUpsert,  // New rows by key and deletes by key; the old row is not there.
  kFull,    // Every row that leaves is there with its old values.
};
const char* ChangelogTypeName(ChangelogType type);

/// An ordered sequence of changed rows.
/// Invariant: `kinds` is empty (all rows are +I) or has rows.size() entries.
/// Threads: one at a time.
struct ChangeChunk {
  DataChunk rows;
  std::vector<RowKind> kinds;

  void Initialize(const duckdb::vector<LogicalType>& types);
  /// Forgets the rows, keeps the buffers.
  void Reset();
  idx_t size() const { return rows.size(); }
  RowKind KindOf(idx_t row) const { return kinds.empty() ? RowKind::kInsert : kinds[row]; }
  /// Makes `kinds` explicit: one entry per row.
  void ExpandKinds();
};

/// Receives the changes of a step, chunk after chunk. The chunk belongs to the caller again on
/// return.
using ChangeReceiver = std::function<void(ChangeChunk&)>;

}  // namespace millrace
