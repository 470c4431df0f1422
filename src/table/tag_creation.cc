#include "table/tag_creation.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/types/timestamp.hpp"
#include "duckdb/main/connection.hpp"
#include "duckdb/main/materialized_query_result.hpp"
#include "lsm/run_file_writer.h"
#include "meta/options.h"
#include "table/snapshot_search.h"
#include "table/tag_periods.h"
#include "table/tags.h"

namespace millrace {

namespace {

/// `time_ms` on the wall clock of `zone`; "": of this machine.
int64_t WallClockMs(const TableState& table, int64_t time_ms, const std::string& zone) {
  if (zone == "UTC") return time_ms;
  if (zone.empty()) {
    return time_ms + LocalWallClockMs(table.context.clock) - table.context.clock.NowMs();
  }
  duckdb::Connection connection(table.context.database);
  auto moment = Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(duckdb::Timestamp::FromEpochMs(time_ms)));
  auto result = connection.Query("SELECT epoch_ms(timezone($1, $2))", Value(zone), moment);
  if (result->HasError()) {
    Throw(ErrorCode::kInvalid,
          "Option 'sink.watermark-time-zone' or 'sink.process-time-zone' = "
          "'{}': {}",
          zone, result->GetErrorObject().RawMessage());
  }
  return result->Fetch()->GetValue(0, 0).GetValue<int64_t>();
}

/// The time that a snapshot stands for, on a wall clock; nullopt when it tells none.
std::optional<int64_t> TimeOf(const TableState& table, const Snapshot& snapshot) {
  if (GetString(table.options, "tag.automatic-creation", "") == "process-time") {
    return WallClockMs(table, snapshot.time_ms,
                       GetString(table.options, "sink.process-time-zone", ""));
  }
  if (!snapshot.watermark || *snapshot.watermark == INT64_MIN) return std::nullopt;
  return WallClockMs(table, *snapshot.watermark,
                     GetString(table.options, "sink.watermark-time-zone", "UTC"));
}

std::vector<NamedTag> AutomaticTags(const TableState& table, const TagPeriods& periods) {
  std::vector<NamedTag> tags = table.tags.All();
  std::erase_if(tags, [&](const NamedTag& tag) { return !periods.TimeOf(tag.name); });
  return tags;
}

void DropOldest(const TableState& table, const std::vector<NamedTag>& tags) {
  constexpr const char* kMax = "tag.num-retained-max";
  if (!table.options.contains(kMax)) return;
  int64_t left = static_cast<int64_t>(tags.size()) - GetInt(table.options, kMax, 0);
  for (int64_t i = 0; i < left; i++) DeleteTag(table, tags[i].name);
}

}  // namespace

void CreateDueTags(const TableState& table) {
  std::optional<TagPeriods> periods = TagPeriods::OfAutomatic(table.options);
  if (!periods) return;
  std::vector<NamedTag> tags = AutomaticTags(table, *periods);
  std::optional<Snapshot> earliest = EarliestSnapshot(table.snapshots);
  if (!earliest) return;
  int64_t id = earliest->id;
  std::optional<int64_t> next_tag;
  if (!tags.empty()) {
    id = std::max(id, tags.back().tag.snapshot.id + 1);
    next_tag = periods->Next(*periods->TimeOf(tags.back().name));
  }
  int64_t delay_ms = GetDurationMs(table.options, "tag.creation-delay", 0);
  bool complete = GetBool(table.options, "tag.automatic-completion", false);
  // Most commits fall into a period that is tagged: the newest snapshot alone shows it.
  std::optional<Snapshot> latest = table.snapshots.Latest();
  std::optional<int64_t> newest_time = latest ? TimeOf(table, *latest) : std::nullopt;
  if (!newest_time || (next_tag && *newest_time - delay_ms < periods->Next(*next_tag))) return;
  for (auto snapshot = table.snapshots.Find(id); snapshot; snapshot = table.snapshots.Find(++id)) {
    std::optional<int64_t> time = TimeOf(table, *snapshot);
    if (!time || (next_tag && *time - delay_ms < periods->Next(*next_tag))) continue;
    int64_t this_tag = complete && next_tag ? *next_tag : periods->LastOver(*time);
    CreateTag(table, periods->NameOf(this_tag), *snapshot, {}, true);
    next_tag = periods->Next(this_tag);
    DropOldest(table, AutomaticTags(table, *periods));
  }
}

void CreateBatchTag(const TableState& table) {
  if (GetString(table.options, "tag.automatic-creation", "") != "batch") return;
  std::optional<Snapshot> latest = table.snapshots.Latest();
  if (!latest) return;
  int64_t day_ms =
      WallClockMs(table, latest->time_ms, GetString(table.options, "sink.process-time-zone", ""));
  std::string name = GetString(table.options, "tag.batch.customized-name",
                               "batch-write-" + TagPeriods(Options{}).NameOf(day_ms));
  if (table.tags.Find(name)) {
    ReplaceTag(table, name, *latest, {});
  } else {
    CreateTag(table, name, *latest, {}, true);
  }
  DropOldest(table, table.tags.All());
}

}  // namespace millrace
