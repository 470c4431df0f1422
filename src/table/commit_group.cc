#include "table/commit_group.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace millrace {

namespace {

std::string GroupFolder(const std::string& warehouse, const std::string& job) {
  return JoinPath(JoinPath(warehouse, ".millrace/groups"), job);
}

// Zero padded, so that names sort as numbers do.
std::string GroupName(int64_t checkpoint) {
  return fmt::format("{:019}", checkpoint);
}

CommitGroup ReadGroup(FileSystem& files, const std::string& warehouse, const std::string& job,
                      const std::string& name) {
  std::string path = JoinPath(GroupFolder(warehouse, job), name);
  nlohmann::json json = nlohmann::json::parse(files.Read(path), nullptr, false);
  if (!json.is_object())
    Throw(ErrorCode::kCorrupt, "Reading commit group '{}': not a JSON object", path);
  CommitGroup group;
  group.job = job;
  group.checkpoint = std::strtoll(name.c_str(), nullptr, 10);
  for (const auto& [table, snapshot] : json.items()) {
    if (!snapshot.is_number_integer()) {
      Throw(ErrorCode::kCorrupt, "Reading commit group '{}': '{}' has no snapshot id", path, table);
    }
    group.snapshots[JoinPath(warehouse, table)] = snapshot.get<int64_t>();
  }
  return group;
}

std::vector<std::string> GroupNames(FileSystem& files, const std::string& warehouse,
                                    const std::string& job) {
  std::vector<std::string> names;
  for (const FileEntry& entry : files.List(GroupFolder(warehouse, job))) {
    if (entry.name.size() == 19 && std::all_of(entry.name.begin(), entry.name.end(), ::isdigit)) {
      names.push_back(entry.name);
    }
  }
  return names;
}

}  // namespace

std::string WarehouseOf(const std::string& table_folder) {
  size_t table = table_folder.rfind('/');
  size_t database = table == std::string::npos ? table : table_folder.rfind('/', table - 1);
  return database == std::string::npos ? "." : table_folder.substr(0, database);
}

std::optional<std::pair<std::string, int64_t>> GroupOf(const Snapshot& snapshot) {
  auto found = snapshot.properties.find(kGroupProperty);
  if (found == snapshot.properties.end()) return std::nullopt;
  size_t slash = found->second.rfind('/');
  if (slash == std::string::npos) return std::nullopt;
  return std::pair(found->second.substr(0, slash),
                   std::strtoll(found->second.c_str() + slash + 1, nullptr, 10));
}

void PublishCommitGroup(FileSystem& files, const CommitGroup& group) {
  std::map<std::string, nlohmann::json> by_warehouse;
  for (const auto& [table, snapshot] : group.snapshots) {
    std::string warehouse = WarehouseOf(table);
    by_warehouse[warehouse][table.substr(warehouse.size() + 1)] = snapshot;
  }
  for (auto& [warehouse, json] : by_warehouse) {
    auto before = LatestCommitGroup(files, warehouse, group.job);
    if (before && before->checkpoint >= group.checkpoint) continue;
    if (before) {
      for (const auto& [table, snapshot] : before->snapshots) {
        std::string name = table.substr(warehouse.size() + 1);
        if (!json.contains(name)) json[name] = snapshot;
      }
    }
    std::string path = JoinPath(GroupFolder(warehouse, group.job), GroupName(group.checkpoint));
    (void)(files.CreateExclusive(path, json.dump()) == CreateOutcome::kCreated);
    std::vector<std::string> names = GroupNames(files, warehouse, group.job);
    for (size_t i = 0; i + kKeptGroups < names.size(); i++) {
      files.Delete(JoinPath(GroupFolder(warehouse, group.job), names[i]));
    }
  }
}

std::optional<CommitGroup> LatestCommitGroup(FileSystem& files, const std::string& warehouse,
                                             const std::string& job) {
  std::vector<std::string> names = GroupNames(files, warehouse, job);
  if (names.empty()) return std::nullopt;
  return ReadGroup(files, warehouse, job, names.back());
}

std::optional<CommitGroup> CommitGroupBefore(FileSystem& files, const std::string& warehouse,
                                             const std::string& job, int64_t checkpoint) {
  std::vector<std::string> names = GroupNames(files, warehouse, job);
  while (!names.empty() && names.back() >= GroupName(checkpoint)) names.pop_back();
  if (names.empty()) return std::nullopt;
  return ReadGroup(files, warehouse, job, names.back());
}

}  // namespace millrace
