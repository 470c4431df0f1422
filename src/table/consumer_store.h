// consumer_store.h - how far named readers of a table have come: consumer/consumer-<id>.
//
// {"nextSnapshot": 4}: the first snapshot not yet consumed. Snapshots from it on do not expire.
// A consumer that has not been written for `consumer.expiration-time` is forgotten.
// Bytes: docs/format.md#consumers (Consumer.java, ConsumerManager.java).
#pragma once

#include "io/file_system.h"

namespace millrace {

/// Finds and writes the consumers of one table.
/// Threads: safe; it holds no state. Throws: Error(kIo, kCorrupt) naming the file; Error(kInvalid)
/// for an id that cannot be a file's name.
class ConsumerStore {
 public:
  ConsumerStore(FileSystem& files, const std::string& table_folder);

  /// The next snapshot of a consumer; nullopt when there is none of that id.
  std::optional<int64_t> Find(const std::string& id) const;
  std::map<std::string, int64_t> All() const;
  /// The least next snapshot of all.
  std::optional<int64_t> LeastNext() const;

  void Reset(const std::string& id, int64_t next_snapshot);
  /// False when there was none.
  bool Remove(const std::string& id);
  /// Forgets those written last before `time_ms`.
  void ExpireBefore(int64_t time_ms);

  std::string PathOf(const std::string& id) const;

 private:
  FileSystem& files_;
  std::string folder_;  // <table>/consumer
};

}  // namespace millrace
