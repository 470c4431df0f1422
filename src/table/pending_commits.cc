#include "table/pending_commits.h"

#include <algorithm>

namespace millrace {

void PendingCommits::Add(const std::vector<BucketChange>& buckets) {
  if (buckets.empty()) return;
  Commit commit;
  commit.buckets = buckets;
  for (const BucketChange& bucket : buckets) {
    for (const auto& file : bucket.new_files) commit.new_names.insert(file.file_name);
    for (const auto& file : bucket.compact_before) commit.compact_names.insert(file.file_name);
  }
  commits_.push_back(std::move(commit));
}

void PendingCommits::Observe(const Snapshot& snapshot, const std::vector<ManifestEntry>* delta) {
  if (commits_.empty()) return;
  if (!delta) {
    // History has been cut: whatever was pending is committed or given up, or (the newest) another
    // thread is about to commit it, and what comes now must not seem older.
    for (const Commit& commit : commits_) {
      for (const BucketChange& change : commit.buckets) {
        std::string name = BucketName(change.partition, change.bucket);
        passed_[name] = MaxSequenceNumber(name);
      }
    }
    commits_.clear();
    return;
  }
  if (snapshot.commit_user != user_) return;
  size_t resolved = 0;
  for (size_t i = 0; i < commits_.size(); i++) {
    Commit& commit = commits_[i];
    bool compact = snapshot.commit_kind == CommitKind::kCompact;
    const std::set<std::string>& names = compact ? commit.compact_names : commit.new_names;
    bool is_it = std::any_of(delta->begin(), delta->end(), [&](const ManifestEntry& entry) {
      return names.contains(entry.file.file_name);
    });
    if (!is_it) continue;
    // Commits come in order: an older one that lacks its compaction will never have it.
    resolved = i + (compact || commit.compact_names.empty() ? 1 : 0);
  }
  commits_.erase(commits_.begin(), commits_.begin() + static_cast<int64_t>(resolved));
}

bool PendingCommits::Holds(const std::string& bucket) const {
  for (const Commit& commit : commits_) {
    for (const BucketChange& change : commit.buckets) {
      if (BucketName(change.partition, change.bucket) == bucket) return true;
    }
  }
  return false;
}

int64_t PendingCommits::MaxSequenceNumber(const std::string& bucket) const {
  auto passed = passed_.find(bucket);
  int64_t last = passed == passed_.end() ? -1 : passed->second;
  for (const Commit& commit : commits_) {
    for (const BucketChange& change : commit.buckets) {
      if (BucketName(change.partition, change.bucket) != bucket) continue;
      for (const DataFileMeta& file : change.new_files) {
        last = std::max(last, file.max_sequence_number);
      }
    }
  }
  return last;
}

}  // namespace millrace
