#include "table/group_steps.h"

#include <algorithm>

#include "base/error.h"
#include "table/changes.h"

namespace millrace {

namespace {

/// Warehouse and job -> the last checkpoint that may be read; jobs that are not there have none.
using Caps = std::map<std::string, int64_t>;

std::string KeyOf(const FollowedTable& table, const std::string& job) {
  return WarehouseOf(table.table->folder()) + "\n" + job;
}

idx_t RowsOf(const Snapshot& snapshot) {
  if (snapshot.commit_kind == CommitKind::kCompact && !snapshot.changelog_record_count) return 0;
  return static_cast<idx_t>(
      std::max<int64_t>(0, snapshot.changelog_record_count.value_or(snapshot.delta_record_count)));
}

bool Admits(const Caps& caps, const FollowedTable& table,
            const std::pair<std::string, int64_t>& group) {
  auto cap = caps.find(KeyOf(table, group.first));
  return cap != caps.end() && cap->second >= group.second;
}

Caps CompleteGroups(FileSystem& files, const std::vector<FollowedTable*>& tables) {
  Caps caps;
  for (const FollowedTable* table : tables) {
    for (const Snapshot& snapshot : table->ahead) {
      auto group = GroupOf(snapshot);
      if (!group || caps.contains(KeyOf(*table, group->first))) continue;
      auto complete = LatestCommitGroup(files, WarehouseOf(table->table->folder()), group->first);
      caps[KeyOf(*table, group->first)] = complete ? complete->checkpoint : -1;
    }
  }
  return caps;
}

/// Of each job the first group that makes the step large enough.
Caps LimitRows(const Caps& caps, const std::vector<FollowedTable*>& tables, idx_t max_rows) {
  std::map<std::string, std::map<int64_t, idx_t>> rows;  // Per job: rows by checkpoint.
  for (const FollowedTable* table : tables) {
    for (const Snapshot& snapshot : table->ahead) {
      auto group = GroupOf(snapshot);
      if (!group || !Admits(caps, *table, *group)) continue;
      rows[KeyOf(*table, group->first)][group->second] += RowsOf(snapshot);
    }
  }
  Caps limited = caps;
  for (const auto& [key, checkpoints] : rows) {
    idx_t total = 0;
    for (const auto& [checkpoint, count] : checkpoints) {
      total += count;
      if (total < max_rows) continue;
      limited[key] = checkpoint;
      break;
    }
  }
  return limited;
}

/// How many snapshots of each table `caps` lets pass, such that every table has exactly the groups
/// that any has: a group that lies behind a snapshot which may not be read is not taken at all.
std::vector<size_t> Fit(Caps caps, const std::vector<FollowedTable*>& tables, idx_t max_rows) {
  std::vector<size_t> taken(tables.size());
  for (bool lowered = true; lowered;) {
    lowered = false;
    for (size_t t = 0; t < tables.size(); t++) {
      const FollowedTable& table = *tables[t];
      size_t count = 0;
      idx_t rows = 0;  // Of snapshots that belong to no group.
      for (; count < table.ahead.size() && rows < max_rows; count++) {
        auto group = GroupOf(table.ahead[count]);
        if (group && !Admits(caps, table, *group)) break;
        if (table.IsPastBound(table.ahead[count])) break;
        if (!group) rows += RowsOf(table.ahead[count]);
      }
      taken[t] = count;
      for (; count < table.ahead.size(); count++) {
        auto group = GroupOf(table.ahead[count]);
        if (!group || !Admits(caps, table, *group)) continue;
        caps[KeyOf(table, group->first)] = group->second - 1;
        lowered = true;
      }
    }
  }
  return taken;
}

}  // namespace

void FollowedTable::LookAhead() {
  int64_t next_id = position + static_cast<int64_t>(ahead.size()) + 1;
  for (; auto next = FindChange(table->state(), next_id); next_id++) {
    ahead.push_back(std::move(*next));
  }
  if (!ahead.empty()) return;
  auto latest = table->LatestSnapshot();
  if (is_future && (!latest || latest->id < position)) return;
  is_future = false;
  if (latest && latest->id > position) {
    // Expired, or it has come this moment.
    if (!FindChange(table->state(), position + 1)) (void)table->PlanChanges(position + 1);
    return;
  }
  if (latest ? latest->id == position : position == 0) return;
  Throw(
      ErrorCode::kInvalid,
      "Following table '{}': snapshot {} was read, and the last one is {} now: it was dropped and "
      "made anew, or rolled back; start over with --fresh",
      table->folder(), position, latest ? latest->id : 0);
}

void FollowedTable::MoveTo(int64_t snapshot) {
  for (; position < snapshot; position++) {
    if (!ahead.empty()) ahead.pop_front();
  }
}

std::vector<int64_t> ChooseStep(FileSystem& files, const std::vector<FollowedTable*>& tables,
                                idx_t max_rows) {
  for (FollowedTable* table : tables) table->LookAhead();
  Caps caps = CompleteGroups(files, tables);
  // Once more after the groups: then every table has all that these name. Jobs that have come since
  // are not taken.
  if (!caps.empty()) {
    for (FollowedTable* table : tables) table->LookAhead();
  }
  auto moves = [](const std::vector<size_t>& taken) {
    return std::any_of(taken.begin(), taken.end(), [](size_t count) { return count > 0; });
  };
  idx_t rows_ahead = 0;
  for (const FollowedTable* table : tables) {
    for (const Snapshot& snapshot : table->ahead) rows_ahead += RowsOf(snapshot);
  }
  // Groups of two jobs in other orders may only pass together, with what lies between them.
  std::vector<size_t> taken;
  for (idx_t rows = std::max<idx_t>(1, max_rows);; rows *= 2) {
    taken = Fit(LimitRows(caps, tables, rows), tables, rows);
    if (moves(taken) || rows > rows_ahead) break;
  }
  std::vector<int64_t> targets;
  for (size_t t = 0; t < tables.size(); t++) {
    targets.push_back(tables[t]->position + static_cast<int64_t>(taken[t]));
  }
  return targets;
}

}  // namespace millrace
