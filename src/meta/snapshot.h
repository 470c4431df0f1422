// snapshot.h - snapshot/snapshot-N of a table. Bytes on disk: docs/format.md#snapshot
// (Snapshot.java).
#pragma once

#include "base/duck.h"

namespace millrace {

enum class CommitKind : uint8_t { kAppend, kCompact, kOverwrite, kAnalyze };

/// A manifest list and its bytes; old snapshots do not say how many.
struct ListFile {
  std::string name;
  std::optional<int64_t> size;
};

inline constexpr int64_t kBatchCommitIdentifier = 9223372036854775807;

struct Snapshot {
  int64_t id = 0;
  int64_t schema_id = 0;
  std::string base_manifest_list;
  std::optional<int64_t> base_manifest_list_size;
  std::string delta_manifest_list;
  std::optional<int64_t> delta_manifest_list_size;
  std::optional<std::string> changelog_manifest_list;
  std::optional<int64_t> changelog_manifest_list_size;
  std::optional<std::string> index_manifest;
  std::string commit_user;
  int64_t commit_identifier = 0;
  CommitKind commit_kind = CommitKind::kAppend;
  int64_t time_ms = 0;
  int64_t total_record_count = 0;
  int64_t delta_record_count = 0;
  std::optional<int64_t> changelog_record_count;
  std::optional<int64_t> watermark;
  std::optional<std::string> statistics;
  std::map<std::string, std::string> properties;  // Ours start with "millrace.".
  std::optional<int64_t> next_row_id = 0;
  std::map<int, int64_t> log_offsets;  // Bucket -> next log offset; an extension since 1.4.
  bool operator==(const Snapshot&) const = default;

  ListFile BaseList() const { return {base_manifest_list, base_manifest_list_size}; }
  ListFile DeltaList() const { return {delta_manifest_list, delta_manifest_list_size}; }
  /// Only where changelog_manifest_list is set.
  ListFile ChangelogList() const {
    return {*changelog_manifest_list, changelog_manifest_list_size};
  }
};

std::string SnapshotToJson(const Snapshot& snapshot);
/// `file` only names the culprit. Throws: Error(kCorrupt).
Snapshot SnapshotFromJson(std::string_view json, const std::string& file);

}  // namespace millrace
