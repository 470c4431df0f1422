#include "table/maintenance.h"

#include <set>

#include "base/error.h"
#include "meta/options.h"
#include "table/expire.h"
#include "table/partition_done.h"
#include "table/partition_expire.h"
#include "table/tag_creation.h"
#include "table/tags.h"

namespace millrace {

namespace {

template <typename Operation>
void Quietly(Operation operation) {
  try {
    operation();
  } catch (const Error&) {
    // Next time.
  }
}

void ExpireConsumers(const TableState& table) {
  constexpr const char* kLifetime = "consumer.expiration-time";
  if (!table.options.contains(kLifetime)) return;
  int64_t lifetime = GetDurationMs(table.options, kLifetime, 0);
  table.consumers.ExpireBefore(table.context.clock.NowMs() - lifetime);
}

std::vector<RowBytes> WrittenPartitions(const Committable& committable) {
  std::set<RowBytes> partitions;
  for (const BucketChange& bucket : committable.buckets) {
    if (!bucket.new_files.empty()) partitions.insert(bucket.partition);
  }
  return {partitions.begin(), partitions.end()};
}

}  // namespace

void MaintainAfterCommit(const TableState& table, const Committable& committable, bool batch) {
  Quietly([&] { MarkDuePartitions(table, WrittenPartitions(committable), batch); });
  if (table.parsed.write_only) return;
  // Tags first: they keep what expiry would take.
  Quietly([&] { CreateDueTags(table); });
  if (batch) Quietly([&] { CreateBatchTag(table); });
  if (GetBool(table.options, "tag.time-expire-enabled", true)) {
    Quietly([&] { ExpireTags(table); });
  }
  Quietly([&] { ExpireConsumers(table); });
  Quietly([&] { ExpireSnapshots(table); });
  Quietly([&] { ExpireChangelogs(table); });
  Quietly([&] { ExpireDuePartitions(table); });
}

}  // namespace millrace
