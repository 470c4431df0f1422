#include "table/partition_done.h"

#include <algorithm>

#include "base/error.h"
#include "duckdb/common/string_util.hpp"
#include "lsm/run_file_writer.h"
#include "meta/binary_row.h"
#include "meta/json_fields.h"
#include "meta/options.h"
#include "table/partition_time.h"

namespace millrace {

namespace {

std::string MarkPath(const TableState& table, const RowBytes& partition) {
  return JoinPath(table.folder, PartitionPath(table.schema, partition) + "_SUCCESS");
}

/// When it was marked last; nullopt: never.
std::optional<int64_t> MarkedAt(const TableState& table, const RowBytes& partition) {
  std::string path = MarkPath(table, partition);
  try {
    return JsonFields(table.context.files.Read(path), path).Long("modificationTime");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return std::nullopt;
  }
}

constexpr const char* kIdle = "partition.idle-time-to-done";
constexpr const char* kInterval = "partition.time-interval";
constexpr int64_t kMinuteMs = 60'000;

/// Whether it is time to look again.
bool IsDue(const TableState& table, int64_t idle_ms) {
  int64_t now = table.context.clock.NowMs();
  int64_t due = table.next_partition_done_ms;
  return now >= due && table.next_partition_done_ms.compare_exchange_strong(
                           due, now + std::min(idle_ms, kMinuteMs));
}

void MarkIdlePartitions(const TableState& table) {
  std::optional<Snapshot> latest = table.snapshots.Latest();
  if (!latest) return;
  int64_t idle = GetDurationMs(table.options, kIdle, 0);
  int64_t interval = GetDurationMs(table.options, kInterval, 0);
  int64_t wall = LocalWallClockMs(table.context.clock);
  int64_t zone = wall - table.context.clock.NowMs();
  PartitionTimeFormat format = PartitionTimeFormatOf(table);
  for (const auto& [partition, updated] : LastUpdates(table, *latest)) {
    std::optional<int64_t> begins = PartitionTimeMs(table, partition, format);
    if (!begins || wall - std::max(updated, *begins + interval) <= idle) continue;
    std::optional<int64_t> marked = MarkedAt(table, partition);
    if (!marked || *marked + zone < updated) MarkPartitionDone(table, partition);
  }
}

}  // namespace

std::vector<std::optional<Value>> ParsePartitionValues(const TableState& table,
                                                       const std::string& spec) {
  std::vector<DataType> types = PartitionTypes(table.schema);
  const std::vector<std::string>& keys = table.schema.partition_keys;
  std::vector<std::optional<Value>> values(keys.size());
  std::string none = GetString(table.options, "partition.default-name", "__DEFAULT_PARTITION__");
  for (std::string pair : duckdb::StringUtil::Split(spec, ',')) {
    size_t equals = pair.find('=');
    std::string key = pair.substr(0, equals);
    duckdb::StringUtil::Trim(key);
    auto found = std::find(keys.begin(), keys.end(), key);
    if (equals == std::string::npos || found == keys.end()) {
      Throw(ErrorCode::kInvalid, "Partition '{}': '{}' is not <partition column>=<value>{}", spec,
            pair, DidYouMean(key, keys));
    }
    idx_t i = static_cast<idx_t>(found - keys.begin());
    std::string text = pair.substr(equals + 1);
    duckdb::StringUtil::Trim(text);
    Value value, source(text);
    std::string message;
    if (text == none) {
      value = Value(types[i].ToDuck());
    } else if (!source.DefaultTryCastAs(types[i].ToDuck(), value, &message)) {
      Throw(ErrorCode::kInvalid, "Partition '{}': '{}' is no {}", spec, text, types[i].ToString());
    }
    values[i] = std::move(value);
  }
  if (keys.empty()) Throw(ErrorCode::kInvalid, "Table {} has no partitions", table.folder);
  return values;
}

RowBytes ParsePartitionSpec(const TableState& table, const std::string& spec) {
  std::vector<std::optional<Value>> values = ParsePartitionValues(table, spec);
  const std::vector<std::string>& keys = table.schema.partition_keys;
  std::vector<Value> row;
  for (idx_t i = 0; i < keys.size(); i++) {
    if (!values[i]) Throw(ErrorCode::kInvalid, "Partition '{}': '{}' is missing", spec, keys[i]);
    row.push_back(*values[i]);
  }
  return EncodeRow(PartitionTypes(table.schema), row);
}

bool PartitionMatches(const TableState& table, const std::vector<std::optional<Value>>& values,
                      const RowBytes& partition) {
  std::vector<Value> row = DecodeRow(PartitionTypes(table.schema), partition);
  for (idx_t i = 0; i < values.size(); i++) {
    if (!values[i]) continue;
    bool same = values[i]->IsNull() ? row[i].IsNull() : !row[i].IsNull() && row[i] == *values[i];
    if (!same) return false;
  }
  return true;
}

void MarkPartitionDone(const TableState& table, const RowBytes& partition) {
  FileSystem& files = table.context.files;
  std::string path = MarkPath(table, partition);
  int64_t now = table.context.clock.NowMs(), created = now;
  try {
    created = JsonFields(files.Read(path), path).Long("creationTime");
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
  }
  files.Overwrite(path, fmt::format("{{\n  \"creationTime\" : {},\n  \"modificationTime\" : {}\n}}",
                                    created, now));
}

void MarkDuePartitions(const TableState& table, const std::vector<RowBytes>& partitions,
                       bool batch) {
  const Options& options = table.options;
  if (table.schema.partition_keys.empty()) return;
  if (batch && GetBool(options, "partition.end-input-to-done", false)) {
    for (const RowBytes& partition : partitions) MarkPartitionDone(table, partition);
  }
  if (!options.contains(kIdle) || !options.contains(kInterval)) return;
  if (IsDue(table, GetDurationMs(options, kIdle, 0))) MarkIdlePartitions(table);
}

bool IsPartitionDone(const TableState& table, const RowBytes& partition) {
  return table.context.files.Exists(MarkPath(table, partition));
}

}  // namespace millrace
