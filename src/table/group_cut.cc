#include "table/group_cut.h"

namespace millrace {

int64_t GroupCut::Newest(const std::shared_ptr<const Table>& table) {
  std::lock_guard lock(mutex_);
  auto [slot, is_new] = chosen_.try_emplace(table->folder());
  if (!is_new) return slot->second.snapshot;
  auto latest = table->LatestSnapshot();
  int64_t newest = latest ? latest->id : 0;
  for (int64_t id = newest; id > 0 && id > newest - kLookBack; id--) {
    auto snapshot = latest && id == latest->id ? latest : table->FindSnapshot(id);
    if (!snapshot) break;  // Expired.
    if (!Admits(*table, *snapshot)) newest = id - 1;
  }
  slot->second = {table, newest};
  return newest;
}

bool GroupCut::Admits(const Table& table, const Snapshot& snapshot) {
  auto group = GroupOf(snapshot);
  if (!group) return true;
  std::string warehouse = WarehouseOf(table.folder());
  auto [slot, is_new] = groups_.try_emplace(warehouse + "\n" + group->first);
  if (is_new) slot->second = ChooseGroup(warehouse, group->first);
  return slot->second && slot->second->checkpoint >= group->second;
}

std::optional<CommitGroup> GroupCut::ChooseGroup(const std::string& warehouse,
                                                 const std::string& job) {
  auto group = LatestCommitGroup(files_, warehouse, job);
  while (group && !Fits(*group)) {
    group = CommitGroupBefore(files_, warehouse, job, group->checkpoint);
  }
  return group;
}

/// Whether no table that has been looked at would have to be read further on.
bool GroupCut::Fits(const CommitGroup& group) const {
  for (const auto& [folder, snapshot] : group.snapshots) {
    auto found = chosen_.find(folder);
    if (found == chosen_.end() || !found->second.table) continue;  // Or being looked at.
    if (found->second.snapshot >= snapshot) continue;
    // A table that was dropped and made anew counts from 1 again.
    auto latest = found->second.table->LatestSnapshot();
    if (latest && latest->id >= snapshot) return false;
  }
  return true;
}

}  // namespace millrace
