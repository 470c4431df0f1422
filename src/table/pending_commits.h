// pending_commits.h - what a writer has prepared and not yet seen committed.
//
// Its sequence numbers count, and its buckets are not compacted again until it is known what became
// of it (docs/internals/commit.md).
#pragma once

#include <deque>
#include <set>

#include "table/table_state.h"

namespace millrace {

/// Threads: one at a time.
class PendingCommits {
 public:
  explicit PendingCommits(std::string user) : user_(std::move(user)) {}
  void Add(const std::vector<BucketChange>& buckets);
  /// Told of each snapshot passed; `delta` is null when the history between has expired.
  void Observe(const Snapshot& snapshot, const std::vector<ManifestEntry>* delta);
  /// Whether something of this bucket (a BucketName) is pending.
  bool Holds(const std::string& bucket) const;
  /// Of the bucket's pending files, and those of which it is not known what became; -1 when there
  /// are none.
  int64_t MaxSequenceNumber(const std::string& bucket) const;

 private:
  struct Commit {
    std::vector<BucketChange> buckets;
    std::set<std::string> new_names;
    std::set<std::string> compact_names;
  };
  const std::string user_;
  std::deque<Commit> commits_;
  std::map<std::string, int64_t> passed_;  // By bucket: of commits that may be under way still.
};

}  // namespace millrace
