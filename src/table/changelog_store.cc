#include "table/changelog_store.h"

#include <algorithm>

#include "base/error.h"
#include "table/snapshot_store.h"

namespace millrace {

namespace {
constexpr const char* kPrefix = "changelog-";
}

ChangelogStore::ChangelogStore(FileSystem& files, const std::string& table_folder)
    : files_(files), folder_(JoinPath(table_folder, "changelog")) {}

std::string ChangelogStore::PathOf(int64_t id) const {
  return JoinPath(folder_, kPrefix + std::to_string(id));
}

std::optional<Snapshot> ChangelogStore::Find(int64_t id) const {
  std::string path = PathOf(id);
  try {
    return SnapshotFromJson(files_.Read(path), path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

std::vector<int64_t> ChangelogStore::Ids() const {
  std::vector<int64_t> ids;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (auto id = ParseNumberedName(entry.name, kPrefix)) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void ChangelogStore::Put(const Snapshot& snapshot) {
  files_.Overwrite(PathOf(snapshot.id), SnapshotToJson(snapshot));
}

void ChangelogStore::Remove(int64_t id) {
  files_.Delete(PathOf(id));
}

void ChangelogStore::WriteEarliestHint(int64_t id) {
  files_.OverwriteHint(JoinPath(folder_, "EARLIEST"), std::to_string(id));
}

void ChangelogStore::WriteLatestHint(int64_t id) {
  files_.Overwrite(JoinPath(folder_, "LATEST"), std::to_string(id));
}

}  // namespace millrace
