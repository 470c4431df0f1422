#include "table/key_ranges.h"

#include <algorithm>

#include "duckdb/parallel/task_scheduler.hpp"
#include "format/parquet_file.h"
#include "meta/binary_row.h"

namespace millrace {

namespace {

constexpr int64_t kRangesOfSplit = 4;  // No range is smaller than this part of a split's target.
constexpr int64_t kSplitsOfRange = 4;  // Nor larger than so many targets.

/// A key where a range may begin, and the bytes of the run from there to the next.
struct CutPoint {
  RowBytes key;
  int64_t bytes;
};

int64_t RangeCount(const TableState& table, const Section& section) {
  int64_t bytes = 0;
  for (const SortedRun& run : section) bytes += run.TotalBytes();
  int64_t target = std::max<int64_t>(table.parsed.split_target_bytes, 1);
  auto& scheduler = duckdb::TaskScheduler::GetScheduler(table.context.database);
  int64_t threads = scheduler.NumberOfThreads();
  return std::max(std::min(threads, bytes * kRangesOfSplit / target),
                  bytes / (kSplitsOfRange * target));
}

/// Row groups of a file, from its footer.
void AddRowGroups(const TableState& table, const std::string& folder, const DataFileMeta& file,
                  std::vector<CutPoint>& points) {
  if (file.schema_id != table.schema.id) return;
  KeyValueLayout layout = table.Layout();
  const DataField& first = layout.fields[layout.key[0]];
  ParquetReadOptions options;
  options.cache = table.context.cache;
  ParquetFileReader reader(table.context.database, table.context.files, DataFilePath(folder, file),
                           {{first.name, first.type, first.id}}, options);
  std::vector<Value> least = reader.LeastOfRowGroups(0);
  for (Value& value : least) {
    std::vector<Value> key;
    for (const DataType& type : layout.KeyTypes()) key.push_back(Value(type.ToDuck()));
    key[0] = std::move(value);  // NULL comes first: no key that begins so is below.
    points.push_back(
        {EncodeRow(layout.KeyTypes(), key), file.file_size / static_cast<int64_t>(least.size())});
  }
}

}  // namespace

std::vector<RowBytes> ChooseKeyCuts(const TableState& table, const std::string& folder,
                                    const Section& section, const KeyOrder& order) {
  std::vector<RowBytes> cuts;
  int64_t ranges = RangeCount(table, section);
  if (ranges < 2) return cuts;
  auto largest = std::max_element(section.begin(), section.end(),
                                  [](auto& a, auto& b) { return a.TotalBytes() < b.TotalBytes(); });
  bool by_file = static_cast<int64_t>(largest->files.size()) >= 4 * ranges;
  std::vector<CutPoint> points;
  for (const DataFileMeta& file : largest->files) {
    size_t before = points.size();
    if (!by_file) AddRowGroups(table, folder, file, points);
    if (points.size() == before) points.push_back({file.min_key, file.file_size});
  }
  int64_t part = largest->TotalBytes() / ranges, bytes = 0;
  std::string last = order.Normalise(points[0].key);
  for (const CutPoint& point : points) {
    std::string key = order.Normalise(point.key);
    if (bytes >= part * static_cast<int64_t>(cuts.size() + 1) && key > last) {
      cuts.push_back(point.key);
      last = std::move(key);
    }
    bytes += point.bytes;
  }
  return cuts;
}

}  // namespace millrace
