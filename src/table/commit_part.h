// commit_part.h - what Committer keeps of one snapshot to be; for its own two files.
#pragma once

#include "table/committer.h"
#include "table/index_store.h"

namespace millrace {

/// One snapshot to be: its changes, and what of its files has been written so far.
struct Committer::Part {
  Part(CommitKind kind, const Committable& committable, CommitReport& report)
      : kind(kind), committable(committable), report(report) {}

  CommitKind kind;
  const Committable& committable;
  CommitReport& report;
  std::vector<ManifestEntry> delta;
  std::vector<ManifestEntry> changelog;
  std::vector<IndexManifestEntry> prepared_index_changes;
  std::map<RowBytes, std::string> hash_index_bases;  // By partition.
  size_t replaced = 0;  // So many entries in front of `delta` follow from the latest snapshot.

  std::vector<IndexManifestEntry> index_changes;  // As they fit to the newest snapshot.
  std::unique_ptr<IndexFileWriter> index_writer;  // Of files that others' changes made necessary.
  std::unique_ptr<ManifestWriter> writer;
  std::optional<ListFile> delta_list;
  std::optional<ListFile> changelog_list;
  int64_t searched_to = 0;   // No snapshot up to this id is ours, as far as any is left.
  bool history_cut = false;  // Some had expired before we looked: one of them may have been ours.
  bool repeated = false;     // It was there already.
  std::optional<std::string> conflict;

  /// New rows alone can always be added.
  bool CanConflict() const {
    return kind != CommitKind::kAppend || !prepared_index_changes.empty();
  }

  /// Of an overwriting commit: puts other deletions in front of its own entries.
  void Replace(std::vector<ManifestEntry> deletions) {
    auto own = delta.begin() + static_cast<int64_t>(replaced);
    if (std::equal(deletions.begin(), deletions.end(), delta.begin(), own)) return;
    TakeBack();
    delta.erase(delta.begin(), own);
    replaced = deletions.size();
    delta.insert(delta.begin(), std::make_move_iterator(deletions.begin()),
                 std::make_move_iterator(deletions.end()));
  }

  /// Deletes what was written for it.
  void TakeBack() {
    if (writer) writer->DeleteSince(0);
    if (index_writer) index_writer->DeleteAll();
    delta_list.reset();
    changelog_list.reset();
  }
};

}  // namespace millrace
