// partial_update.h - merge engine partial-update: rows bring some columns of their key, the others
// NULL.
//
// Columns of a sequence group change together, and only when the row's own sequence is not older
// than the one that is there; the rest is overwritten by what is not NULL
// (PartialUpdateMergeFunction.java; docs/format.md#merge-engines).
#pragma once

#include "lsm/column_merger.h"

namespace millrace {

/// Threads: one at a time. Throws: Error(kData) for a delete that no option allows.
class PartialUpdate : public MergeFunction {
 public:
  PartialUpdate(const MergeSpec& spec, const KeyValueLayout& layout, std::vector<idx_t> wanted);
  ~PartialUpdate() override;
  const MergedKeys& Begin(const MergeRows& rows, const ColumnOf& column) override;
  void MergeColumn(idx_t field, Vector& source, Vector& target) override;

 private:
  struct Group;
  struct Key;
  void WalkKey(Key& key, uint32_t row, uint32_t end);
  void AddRow(Key& key, uint32_t row);
  void RetractRow(Key& key, uint32_t row);
  void RetractFromGroups(Key& key, uint32_t row, bool fills);
  void TakeWhole(Key& key, uint32_t row);
  void SetAll(uint32_t row, RowEffect effect);

  const MergeSpec spec_;
  std::vector<std::unique_ptr<ColumnMerger>> mergers_;
  std::vector<std::unique_ptr<Group>> groups_;
  std::vector<Group*> group_of_;  // By field; null outside of all groups.
  std::vector<RowEffect> rest_;   // Effects on columns outside of all groups.
  bool all_add_ = false;          // No group, no retraction: `rest_` is not filled.
  MergeRows rows_{};
  MergedKeys keys_;
};

}  // namespace millrace
