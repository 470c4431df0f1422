#include "table/rollback.h"

#include <algorithm>

#include "base/error.h"
#include "meta/options.h"
#include "table/changes.h"

namespace millrace {

namespace {

std::vector<int64_t> IdsAfter(std::vector<int64_t> ids, int64_t id) {
  std::erase_if(ids, [&](int64_t other) { return other <= id; });
  return ids;
}

}  // namespace

void RollbackTo(const TableState& table, const Snapshot& target) {
  if (GetString(table.options, "log.system", "") == "local") {
    Throw(
        ErrorCode::kUnsupported,
        "Rolling back table {}: its readers follow its log ('log.system' = 'local'), which cannot "
        "tell that rows have gone; CREATE a table AS SELECT of the older state instead",
        table.folder);
  }
  std::vector<int64_t> before = table.snapshots.Ids();
  int64_t latest = before.empty() ? target.id : before.back();
  if (!table.snapshots.Find(target.id)) {
    // First there must be a state to go back to. Tags do not keep changelogs.
    Snapshot restored = target;
    if (restored.changelog_manifest_list &&
        !table.context.files.Exists(table.manifests.PathOf(*restored.changelog_manifest_list))) {
      restored.changelog_manifest_list.reset();
      restored.changelog_manifest_list_size.reset();
      restored.changelog_record_count.reset();
      restored.properties[kChangelogGoneProperty] = "true";
    }
    table.snapshots.Restore(restored);
  }
  table.snapshots.WriteLatestHint(target.id);
  // From the newest down: whatever fails here leaves an unbroken history.
  std::vector<int64_t> lost = IdsAfter(before, target.id);
  for (auto id = lost.rbegin(); id != lost.rend(); ++id) table.snapshots.Remove(*id);
  if (before.empty() || before.front() > target.id) table.snapshots.WriteEarliestHint(target.id);
  std::vector<int64_t> changelogs = table.changelogs.Ids();
  std::vector<int64_t> lost_changelogs = IdsAfter(changelogs, target.id);
  if (!lost_changelogs.empty()) {
    bool all = lost_changelogs.size() == changelogs.size();
    table.changelogs.WriteLatestHint(all ? -1 : lost_changelogs.front() - 1);
    for (auto id = lost_changelogs.rbegin(); id != lost_changelogs.rend(); ++id) {
      table.changelogs.Remove(*id);
    }
  }
  for (const NamedTag& tag : table.tags.All()) {
    if (tag.tag.snapshot.id > target.id) table.tags.Remove(tag.name);
  }
  std::vector<int64_t> left = IdsAfter(table.snapshots.Ids(), target.id);
  if (left.empty()) return;
  std::optional<Snapshot> other = table.snapshots.Find(left.front());
  Throw(
      ErrorCode::kConflict,
      "Rolling back table {} to snapshot {}: '{}' committed snapshot {} meanwhile, on top of those "
      "up to {} that have gone; stop its writers and roll back again",
      table.folder, target.id, other ? other->commit_user : "?", left.front(), latest);
}

}  // namespace millrace
