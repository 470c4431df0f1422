#include "table/snapshot_store.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace millrace {

namespace {

constexpr const char* kPrefix = "snapshot-";
constexpr const char* kLatest = "LATEST";
constexpr const char* kEarliest = "EARLIEST";

std::optional<int64_t> ParseId(std::string_view text) {
  int64_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0) return std::nullopt;
  return id;
}

std::optional<std::string> ReadIfThere(FileSystem& files, const std::string& path) {
  try {
    return files.Read(path);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) return std::nullopt;
    throw;
  }
}

}  // namespace

std::optional<int64_t> ParseNumberedName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  return ParseId(name.substr(prefix.size()));
}

SnapshotStore::SnapshotStore(FileSystem& files, const std::string& table_folder)
    : files_(files), folder_(JoinPath(table_folder, "snapshot")) {}

std::string SnapshotStore::PathOf(int64_t id) const {
  return JoinPath(folder_, kPrefix + std::to_string(id));
}

std::optional<int64_t> SnapshotStore::ReadHint(const char* name) const {
  std::optional<std::string> text = ReadIfThere(files_, JoinPath(folder_, name));
  return text ? ParseId(*text) : std::nullopt;
}

std::vector<int64_t> SnapshotStore::Ids() const {
  std::vector<int64_t> ids;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (auto id = ParseNumberedName(entry.name, kPrefix)) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<int64_t> SnapshotStore::LatestId() const {
  std::optional<int64_t> hint = ReadHint(kLatest);
  if (hint && files_.Exists(PathOf(*hint))) {
    int64_t id = *hint;
    while (files_.Exists(PathOf(id + 1))) id++;
    return id;
  }
  std::vector<int64_t> ids = Ids();
  return ids.empty() ? std::nullopt : std::optional(ids.back());
}

std::optional<Snapshot> SnapshotStore::Latest() const {
  for (;;) {
    std::optional<int64_t> id = LatestId();
    if (!id) return std::nullopt;
    // It can only be missing when it was expired since: then there is a newer one.
    if (auto snapshot = Find(*id)) return snapshot;
  }
}

std::optional<int64_t> SnapshotStore::EarliestId() const {
  std::optional<int64_t> hint = ReadHint(kEarliest);
  if (hint && files_.Exists(PathOf(*hint))) return hint;
  std::vector<int64_t> ids = Ids();
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

std::optional<Snapshot> SnapshotStore::Find(int64_t id) const {
  std::string path = PathOf(id);
  std::optional<std::string> text = ReadIfThere(files_, path);
  if (!text) return std::nullopt;
  return SnapshotFromJson(*text, path);
}

PublishOutcome SnapshotStore::Publish(const Snapshot& next) {
  MILLRACE_CHECK(next.id > 0);
  std::string path = PathOf(next.id);
  std::string text = SnapshotToJson(next);
  if (files_.CreateExclusive(path, text) == CreateOutcome::kExists)
    return PublishOutcome::kConflict;
  // A JVM writer on a local disk looks first and moves its file over ours later. Whoever lies there
  // when we look again has won; the window that remains is told in docs/internals/commit.md.
  std::optional<std::string> there = ReadIfThere(files_, path);
  if (there && *there != text) return PublishOutcome::kConflict;
  // Gone: others have gone on from it so far that it is expired by now.
  if (!there) return PublishOutcome::kPublished;
  // Snapshots expire in order: while the one before is there, the id cannot have been used up.
  if (next.id > 1 && !files_.Exists(PathOf(next.id - 1)) && Ids().back() != next.id) {
    return PublishOutcome::kOvertaken;
  }
  try {
    files_.OverwriteHint(JoinPath(folder_, kLatest), std::to_string(next.id));
  } catch (const Error&) {
    // The snapshot is there; readers find it from the older hint.
  }
  return PublishOutcome::kPublished;
}

void SnapshotStore::WriteEarliestHint(int64_t earliest) {
  files_.OverwriteHint(JoinPath(folder_, kEarliest), std::to_string(earliest));
}

void SnapshotStore::WriteLatestHint(int64_t latest) {
  files_.Overwrite(JoinPath(folder_, kLatest), std::to_string(latest));
}

void SnapshotStore::Restore(const Snapshot& snapshot) {
  (void)(files_.CreateExclusive(PathOf(snapshot.id), SnapshotToJson(snapshot)) ==
         CreateOutcome::kCreated);
}

void SnapshotStore::Remove(int64_t id) {
  files_.Delete(PathOf(id));
}

}  // namespace millrace
