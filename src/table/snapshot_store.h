// snapshot_store.h - the one place where the history of a table becomes visible.
//
// A table is the sequence of files snapshot/snapshot-1, -2, ...: a snapshot exists iff its file
// does. LATEST and EARLIEST are only hints: a reader may start looking from them, never conclude
// from them. Bytes on disk: docs/format.md#snapshot. Crashes and races: docs/internals/commit.md.
#pragma once

#include "io/file_system.h"
#include "meta/snapshot.h"

namespace millrace {

/// Losing a race for an id is an expected outcome, hence a value and not an error.
enum class PublishOutcome {
  kPublished,
  kConflict,
  /// The file was created, but others are further on and the snapshot before it has expired: either
  /// they have built on this one, or its id was free because its first owner has expired too.
  kOvertaken,
};

/// Finds and publishes the snapshots of one table.
///
/// Threads: safe from any thread; it holds no state of its own, every call asks `files`.
/// Throws:  Error(kIo) when storage fails, Error(kCorrupt) when a snapshot file does not parse.
class SnapshotStore {
 public:
  /// Reads nothing yet. `files` must outlive this object.
  SnapshotStore(FileSystem& files, const std::string& table_folder);

  /// The newest snapshot; nullopt if the table has none. One look per snapshot published since
  /// LATEST was written; one listing when the hint is missing.
  std::optional<Snapshot> Latest() const;
  std::optional<int64_t> LatestId() const;
  /// The oldest id that still exists.
  std::optional<int64_t> EarliestId() const;
  /// All ids that exist, ascending. One listing.
  std::vector<int64_t> Ids() const;
  /// nullopt when there is no such snapshot (never was, or expired).
  std::optional<Snapshot> Find(int64_t id) const;

  /// Makes `next` visible to all readers at once, or tells that its id is taken.
  /// REQUIRES: next.id > 0, and every file that `next` names is durable.
  /// After kPublished it survives a crash, though LATEST may lag behind. After Error(kIo) the
  /// outcome is unknown: ask Find(next.id) before trying again. After kOvertaken the caller finds
  /// out, and takes the file back if nobody has built on it.
  [[nodiscard]] PublishOutcome Publish(const Snapshot& next);

  /// Removes the file of one snapshot: expiry, before the files that only it needs, and a writer
  /// that was overtaken.
  void Remove(int64_t id);
  void WriteEarliestHint(int64_t earliest);
  void WriteLatestHint(int64_t latest);
  /// Writes the file of a snapshot that has expired anew: a rollback to its tag. One that is there
  /// stays.
  void Restore(const Snapshot& snapshot);

  std::string PathOf(int64_t id) const;

 private:
  std::optional<int64_t> ReadHint(const char* name) const;

  FileSystem& files_;
  std::string folder_;  // <table>/snapshot
};

/// The id in "<prefix><digits>"; nullopt for any other name.
std::optional<int64_t> ParseNumberedName(std::string_view name, std::string_view prefix);

}  // namespace millrace
