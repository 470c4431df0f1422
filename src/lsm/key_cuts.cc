#include "lsm/key_cuts.h"

#include <algorithm>

#include "meta/binary_row.h"

namespace millrace {

namespace {

/// A key where a range may begin, and the bytes of the run from there to the next.
struct CutPoint {
  const DataFileMeta* file;  // Begins with the key, unless:
  Value first;               // the key's first column; NULL: at the file's beginning.
  int64_t bytes;

  RowBytes Key(const KeyValueLayout& layout) const {
    if (first.IsNull()) return file->min_key;
    std::vector<Value> key;
    for (const DataType& type : layout.KeyTypes()) key.push_back(Value(type.ToDuck()));
    key[0] = first;  // NULL comes first: no key that begins so is below.
    return EncodeRow(layout.KeyTypes(), key);
  }
};

/// Stretches of a file, from its footer.
void AddStretches(const LsmContext& context, const KeyValueLayout& layout,
                  const std::string& folder, const DataFileMeta& file,
                  std::vector<CutPoint>& points) {
  if (file.schema_id != layout.schema_id) return;
  const DataField& first = layout.fields[layout.key[0]];
  ParquetReadOptions options;
  options.cache = context.cache;
  ParquetFileReader reader(context.database, context.files, DataFilePath(folder, file),
                           {{first.name, first.type, first.id}}, options);
  std::vector<Value> least = reader.LeastOfStretches(0);
  for (Value& value : least) {
    points.push_back(
        {&file, std::move(value), file.file_size / static_cast<int64_t>(least.size())});
  }
}

}  // namespace

std::vector<KeyRange> ChooseKeyRanges(const LsmContext& context, const KeyValueLayout& layout,
                                      const std::string& folder, const Section& section,
                                      const KeyOrder& order, int64_t count) {
  std::vector<KeyRange> ranges(1);
  if (count < 2) return ranges;
  auto largest = std::max_element(section.begin(), section.end(),
                                  [](auto& a, auto& b) { return a.TotalBytes() < b.TotalBytes(); });
  bool by_file = static_cast<int64_t>(largest->files.size()) >= 4 * count;
  std::vector<CutPoint> points;
  for (const DataFileMeta& file : largest->files) {
    size_t before = points.size();
    if (!by_file) AddStretches(context, layout, folder, file, points);
    if (points.size() == before) points.push_back({&file, Value(), file.file_size});
  }
  int64_t part = largest->TotalBytes() / count, bytes = 0;
  std::string last = order.Normalise(points[0].Key(layout));
  for (const CutPoint& point : points) {
    bool due = bytes >= part * static_cast<int64_t>(ranges.size());
    bytes += point.bytes;
    if (!due) continue;
    RowBytes key = point.Key(layout);
    std::string place = order.Normalise(key);
    if (place <= last) continue;
    ranges.back().below = key;
    ranges.push_back({.from = std::move(key)});
    last = std::move(place);
  }
  return ranges;
}

std::vector<DataFileMeta> FilesInRange(const std::vector<DataFileMeta>& files,
                                       const KeyRange& range, const KeyOrder& order) {
  std::string from = range.from.empty() ? "" : order.Normalise(range.from);
  std::string below = range.below.empty() ? "" : order.Normalise(range.below);
  std::vector<DataFileMeta> inside;
  for (const DataFileMeta& file : files) {
    if (order.Normalise(file.max_key) < from) continue;
    if (!below.empty() && order.Normalise(file.min_key) >= below) continue;
    inside.push_back(file);
  }
  return inside;
}

std::vector<FilePredicate> PredicatesOf(const KeyRange& range, const KeyValueLayout& layout) {
  std::vector<FilePredicate> predicates;
  auto add = [&](FilePredicate::Op op, const RowBytes& key) {
    if (!key.empty()) {
      predicates.push_back({layout.key[0], op, DecodeRow(layout.KeyTypes(), key)[0]});
    }
  };
  add(FilePredicate::Op::kGreaterEqual, range.from);
  add(FilePredicate::Op::kLessEqual, range.below);
  return predicates;
}

}  // namespace millrace
