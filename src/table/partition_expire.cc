#include "table/partition_expire.h"

#include <algorithm>

#include "base/error.h"
#include "lsm/run_file_writer.h"
#include "meta/options.h"
#include "table/committer.h"
#include "table/partition_time.h"

namespace millrace {

namespace {

constexpr const char* kExpiration = "partition.expiration-time";
constexpr int64_t kHourMs = 3'600'000;

void CheckCanExpire(const TableState& table) {
  if (table.schema.partition_keys.empty()) {
    Throw(ErrorCode::kInvalid, "Table {} has no partitions that could expire", table.folder);
  }
  if (!table.options.contains(kExpiration)) {
    Throw(ErrorCode::kInvalid,
          "Partitions of table {} do not expire: give an expiration time, or set '{}'",
          table.folder, kExpiration);
  }
}

}  // namespace

bool PartitionsExpire(const TableState& table) {
  return table.options.contains(kExpiration) && !table.schema.partition_keys.empty();
}

std::vector<RowBytes> FindExpiredPartitions(const TableState& table) {
  CheckCanExpire(table);
  int64_t over_before =
      LocalWallClockMs(table.context.clock) - GetDurationMs(table.options, kExpiration, 0);
  bool by_update = GetChoice(table.options, "partition.expiration-strategy", "values-time",
                             {"values-time", "update-time"}) == "update-time";
  PartitionTimeFormat format = PartitionTimeFormatOf(table);
  std::vector<std::pair<std::string, RowBytes>> over;
  std::optional<Snapshot> latest = table.snapshots.Latest();
  if (!latest) return {};
  for (const auto& [partition, updated] : LastUpdates(table, *latest)) {
    std::optional<int64_t> time = updated;
    if (!by_update) time = PartitionTimeMs(table, partition, format);
    if (time && *time < over_before) over.emplace_back(PartitionText(table, partition), partition);
  }
  std::sort(over.begin(), over.end());
  size_t most = static_cast<size_t>(
      std::max<int64_t>(0, GetInt(table.options, "partition.expiration-max-num", 100)));
  std::vector<RowBytes> partitions;
  for (size_t i = 0; i < std::min(most, over.size()); i++) partitions.push_back(over[i].second);
  return partitions;
}

std::vector<RowBytes> ExpirePartitions(const TableState& table) {
  std::vector<RowBytes> over = FindExpiredPartitions(table);
  if (over.empty()) return over;
  Committable committable;
  committable.overwrite.emplace();
  for (const RowBytes& partition : over) {
    committable.overwrite->partitions.push_back({table.schema.partition_keys, partition});
  }
  committable.properties[kPartitionsExpired] = std::to_string(over.size());
  Committer(table, table.context.random.Uuid(), kBatchCommitIdentifier)
      .Commit(committable, nullptr);
  return over;
}

void ExpireDuePartitions(const TableState& table) {
  if (!PartitionsExpire(table)) return;
  int64_t now = table.context.clock.NowMs();
  int64_t due = table.next_partition_expiry_ms;
  if (now < due) return;
  int64_t interval = GetDurationMs(table.options, "partition.expiration-check-interval", kHourMs);
  if (!table.next_partition_expiry_ms.compare_exchange_strong(due, now + interval)) return;
  ExpirePartitions(table);
}

}  // namespace millrace
