// changelog_maker.h - what a compaction changed, as rows of a changelog: old and new row of each
// key.
//
// full-compaction: the old row is the one of the top level. lookup: the one of the lowest level
// above 0, and only keys with rows of level 0 have changes. Per key: nothing, +I, -D, or -U and +U
// (docs/format.md#changelogs; FullChangelogMergeFunctionWrapper.java,
// LookupChangelogMergeFunctionWrapper.java).
#pragma once

#include "lsm/key_batches.h"

namespace millrace {

enum class CompactionChangelog : uint8_t { kNone, kFullCompaction, kLookup };

struct ChangelogOptions {
  CompactionChangelog kind = CompactionChangelog::kNone;
  int max_level = 5;
  /// first-row: a key that has a row keeps it.
  bool inserts_only = false;
  /// changelog-producer.row-deduplicate: an update is left out when these fields are the same.
  bool leaves_out_same = false;
  std::vector<idx_t> compared = {};
};

/// Threads: one at a time. Throws: what `receive` throws.
class ChangelogMaker {
 public:
  /// `plan` and `layout` outlive it. `receive` gets rows in the key-value layout.
  ChangelogMaker(const KeyValueLayout& layout, const ReadPlan& plan, ChangelogOptions options,
                 ChunkReceiver receive);
  /// `merged` has one row per key of `batch`, in the key-value layout; `kinds` are its row kinds.
  void Add(KeyBatch& batch, DataChunk& merged, const int8_t* kinds);

 private:
  /// A row of the changelog: of the batch (an old one) or of the merged rows.
  struct Change {
    uint32_t row;
    bool old;
    RowKind kind;
  };

  uint32_t OldRowOf(const KeyBatch& batch, idx_t key, const int8_t* batch_kinds) const;
  void LeaveOutSame(KeyBatch& batch, DataChunk& merged);
  void Send(KeyBatch& batch, DataChunk& merged);
  void SendSlice(KeyBatch& batch, DataChunk& merged, size_t start, size_t end);

  const KeyValueLayout& layout_;
  const ReadPlan& plan_;
  const ChangelogOptions options_;
  const ChunkReceiver receive_;
  std::vector<Change> changes_;
  DataChunk output_;
};

}  // namespace millrace
