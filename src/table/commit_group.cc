#include "table/commit_group.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"

namespace millrace {

namespace {

std::string GroupFolder(const std::string& warehouse, const std::string& job) {
  return JoinPath(JoinPath(warehouse, ".millrace/groups"), job);
}

constexpr const char* kMembersFile = "members";
constexpr const char* kEndedFile = "ended";
constexpr size_t kClockJobs = 32;  // So many jobs are told apart; then the oldest is forgotten.

using ClockEntry = std::pair<std::string, int64_t>;

/// "job/7 other/3", the last to write first; nullopt when the snapshot does not tell.
std::optional<std::vector<ClockEntry>> EntriesOf(const Snapshot& snapshot) {
  auto own = GroupOf(snapshot);
  auto property = snapshot.properties.find(kGroupClockProperty);
  if (!own && property == snapshot.properties.end()) return std::nullopt;
  std::vector<ClockEntry> entries;
  if (own) entries.push_back(*own);
  if (property == snapshot.properties.end()) return entries;
  std::istringstream words(property->second);
  for (std::string word; words >> word;) {
    size_t slash = word.rfind('/');
    if (slash == std::string::npos) continue;
    entries.emplace_back(word.substr(0, slash),
                         std::strtoll(word.c_str() + slash + 1, nullptr, 10));
  }
  return entries;
}

std::vector<ClockEntry> ClockEntriesOf(const SnapshotStore& snapshots,
                                       std::optional<Snapshot> snapshot) {
  while (snapshot) {
    if (auto entries = EntriesOf(*snapshot)) return *entries;
    snapshot = snapshots.Find(snapshot->id - 1);
  }
  return {};
}

nlohmann::json ReadObject(FileSystem& files, const std::string& path) {
  nlohmann::json json = nlohmann::json::parse(files.Read(path), nullptr, false);
  if (json.is_object()) return json;
  Throw(ErrorCode::kCorrupt, "Reading commit group '{}': not a JSON object", path);
}

// Zero padded, so that names sort as numbers do.
std::string GroupName(int64_t checkpoint) {
  return fmt::format("{:019}", checkpoint);
}

CommitGroup ReadGroup(FileSystem& files, const std::string& warehouse, const std::string& job,
                      const std::string& name) {
  std::string path = JoinPath(GroupFolder(warehouse, job), name);
  nlohmann::json json = ReadObject(files, path);
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

GroupClock GroupClockOf(const SnapshotStore& snapshots, Snapshot snapshot) {
  GroupClock clock;
  for (const auto& [job, checkpoint] : ClockEntriesOf(snapshots, std::move(snapshot))) {
    auto [slot, is_new] = clock.try_emplace(job, checkpoint);
    if (!is_new) slot->second = std::max(slot->second, checkpoint);
  }
  return clock;
}

void SetGroupClock(const SnapshotStore& snapshots, const std::optional<Snapshot>& latest,
                   Snapshot& next) {
  next.properties.erase(kGroupClockProperty);
  auto own = GroupOf(next);
  std::string text;
  size_t jobs = own ? 1 : 0;
  for (const auto& [job, checkpoint] : ClockEntriesOf(snapshots, latest)) {
    if ((own && job == own->first) || ++jobs > kClockJobs) continue;
    text += fmt::format("{}{}/{}", text.empty() ? "" : " ", job, checkpoint);
  }
  // A group alone says as much; anything else must say that it is ours.
  if (!own || !text.empty()) next.properties[kGroupClockProperty] = text;
}

void PublishGroupMembers(FileSystem& files, const std::string& job, const GroupMembers& members) {
  std::map<std::string, nlohmann::json> by_warehouse;
  for (const auto& [table, logged] : members) {
    std::string warehouse = WarehouseOf(table);
    by_warehouse[warehouse][table.substr(warehouse.size() + 1)] = logged;
  }
  for (const auto& [warehouse, json] : by_warehouse) {
    std::string path = JoinPath(GroupFolder(warehouse, job), kMembersFile);
    (void)(files.CreateExclusive(path, json.dump()) == CreateOutcome::kCreated);
  }
}

GroupMembers ReadGroupMembers(FileSystem& files, const std::string& warehouse,
                              const std::string& job) {
  std::string path = JoinPath(GroupFolder(warehouse, job), kMembersFile);
  GroupMembers members;
  if (!files.Exists(path)) return members;
  nlohmann::json json = ReadObject(files, path);
  for (const auto& [table, logged] : json.items()) {
    members[JoinPath(warehouse, table)] = logged.is_boolean() && logged.get<bool>();
  }
  return members;
}

std::vector<std::string> GroupJobs(FileSystem& files, const std::string& warehouse) {
  std::vector<std::string> jobs;
  for (const FileEntry& entry : files.List(JoinPath(warehouse, ".millrace/groups"))) {
    if (entry.is_folder) jobs.push_back(entry.name);
  }
  return jobs;
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

void EndCommitGroups(FileSystem& files, const std::string& warehouse, const std::string& job) {
  std::string folder = GroupFolder(warehouse, job);
  if (files.List(folder).empty()) return;
  (void)(files.CreateExclusive(JoinPath(folder, kEndedFile), "") == CreateOutcome::kCreated);
}

bool HaveGroupsEnded(FileSystem& files, const std::string& warehouse, const std::string& job) {
  return files.Exists(JoinPath(GroupFolder(warehouse, job), kEndedFile));
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
