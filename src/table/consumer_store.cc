#include "table/consumer_store.h"

#include <algorithm>

#include "base/error.h"
#include "meta/json_fields.h"

namespace millrace {

namespace {
constexpr std::string_view kPrefix = "consumer-";
}

ConsumerStore::ConsumerStore(FileSystem& files, const std::string& table_folder)
    : files_(files), folder_(JoinPath(table_folder, "consumer")) {}

std::string ConsumerStore::PathOf(const std::string& id) const {
  if (id.empty() || id.find('/') != std::string::npos) {
    Throw(ErrorCode::kInvalid, "'{}' cannot be a 'consumer-id': it must be a file's name", id);
  }
  return JoinPath(folder_, std::string(kPrefix) + id);
}

std::optional<int64_t> ConsumerStore::Find(const std::string& id) const {
  std::string path = PathOf(id);
  try {
    return JsonFields(files_.Read(path), path).Long("nextSnapshot");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

std::map<std::string, int64_t> ConsumerStore::All() const {
  std::map<std::string, int64_t> consumers;
  for (const FileEntry& entry : files_.List(folder_)) {
    if (entry.is_folder || !entry.name.starts_with(kPrefix)) continue;
    std::string id = entry.name.substr(kPrefix.size());
    if (auto next = Find(id)) consumers[id] = *next;
  }
  return consumers;
}

std::optional<int64_t> ConsumerStore::LeastNext() const {
  std::optional<int64_t> least;
  for (const auto& [id, next] : All()) least = std::min(least.value_or(next), next);
  return least;
}

void ConsumerStore::Reset(const std::string& id, int64_t next_snapshot) {
  files_.Overwrite(PathOf(id), fmt::format("{{\n  \"nextSnapshot\" : {}\n}}", next_snapshot));
}

bool ConsumerStore::Remove(const std::string& id) {
  return files_.Delete(PathOf(id));
}

void ConsumerStore::ExpireBefore(int64_t time_ms) {
  for (const FileEntry& entry : files_.List(folder_)) {
    if (entry.is_folder || !entry.name.starts_with(kPrefix)) continue;
    if (entry.modified_ms < time_ms) files_.Delete(JoinPath(folder_, entry.name));
  }
}

}  // namespace millrace
