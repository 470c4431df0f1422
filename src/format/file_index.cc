#include "format/file_index.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int64_t kMagic = 1493475289347502;
constexpr int32_t kVersion = 1;
constexpr int64_t kFixedHead = 16;  // Magic, version, length of the head.
constexpr int32_t kNothing = -1;    // In the place of an index: no value was ever written to it.

const char* NameOf(FileIndexType type) {
  return type == FileIndexType::kBitmap ? "bitmap" : "bloom-filter";
}

void AppendText(std::string& out, const std::string& text) {
  AppendBig<uint16_t>(out, static_cast<uint16_t>(text.size()));
  out += text;
}

}  // namespace

bool TakesFileIndex(const DataType& type, FileIndexType index) {
  auto kind = IndexKeyKindOf(type);
  if (!kind) return false;
  if (index == FileIndexType::kBloomFilter) return kind != IndexKeyKind::kBoolean;
  return type.root != TypeRoot::kBinary && type.root != TypeRoot::kVarBinary;
}

struct FileIndexBuilder::Column {
  std::string name;
  idx_t index = 0;                   // Of the fields.
  std::vector<BloomFilter> filters;  // At most one of each.
  std::vector<BitmapIndex> bitmaps;
};

FileIndexBuilder::FileIndexBuilder(const std::vector<DataField>& fields,
                                   const std::vector<FileIndexSpec>& specs) {
  for (const FileIndexSpec& spec : specs) {
    auto field = std::find_if(fields.begin(), fields.end(),
                              [&](const DataField& other) { return other.name == spec.column; });
    MILLRACE_CHECK(field != fields.end());
    auto column = std::find_if(columns_.begin(), columns_.end(),
                               [&](const Column& other) { return other.name == spec.column; });
    if (column == columns_.end()) {
      column = columns_.insert(
          column, Column{spec.column, static_cast<idx_t>(field - fields.begin()), {}, {}});
    }
    if (spec.type == FileIndexType::kBitmap) {
      column->bitmaps.emplace_back(field->type, spec.block_bytes);
    } else {
      column->filters.emplace_back(field->type, spec.items, spec.fpp);
    }
  }
}

FileIndexBuilder::~FileIndexBuilder() = default;

void FileIndexBuilder::Add(DataChunk& rows, idx_t first_column) {
  for (Column& column : columns_) {
    UnifiedVectorFormat format;
    rows.data[first_column + column.index].ToUnifiedFormat(rows.size(), format);
    for (BloomFilter& filter : column.filters) filter.Add(format, rows.size());
    for (BitmapIndex& bitmap : column.bitmaps) bitmap.Add(format, rows.size());
  }
}

std::string FileIndexBuilder::Finish() const {
  std::string body;
  struct Place {
    FileIndexType type;
    size_t start;
    size_t length;
  };
  std::vector<std::vector<Place>> places;
  int64_t head_bytes = kFixedHead + 4 + 4;  // Number of columns; length of what later versions add.
  for (const Column& column : columns_) {
    std::vector<Place>& of_column = places.emplace_back();
    auto add = [&](FileIndexType type, const std::string& bytes) {
      of_column.push_back({type, body.size(), bytes.size()});
      body += bytes;
      head_bytes += 2 + static_cast<int64_t>(std::string_view(NameOf(type)).size()) + 8;
    };
    for (const BloomFilter& filter : column.filters)
      add(FileIndexType::kBloomFilter, filter.Bytes());
    for (const BitmapIndex& bitmap : column.bitmaps) add(FileIndexType::kBitmap, bitmap.Finish());
    head_bytes += 2 + static_cast<int64_t>(column.name.size()) + 4;
  }
  std::string bytes;
  AppendBig<int64_t>(bytes, kMagic);
  AppendBig<int32_t>(bytes, kVersion);
  AppendBig<int32_t>(bytes, static_cast<int32_t>(head_bytes));
  AppendBig<int32_t>(bytes, static_cast<int32_t>(columns_.size()));
  for (size_t i = 0; i < columns_.size(); i++) {
    AppendText(bytes, columns_[i].name);
    AppendBig<int32_t>(bytes, static_cast<int32_t>(places[i].size()));
    for (const Place& place : places[i]) {
      AppendText(bytes, NameOf(place.type));
      AppendBig<int32_t>(bytes,
                         static_cast<int32_t>(head_bytes + static_cast<int64_t>(place.start)));
      AppendBig<int32_t>(bytes, static_cast<int32_t>(place.length));
    }
  }
  AppendBig<int32_t>(bytes, 0);
  MILLRACE_CHECK(static_cast<int64_t>(bytes.size()) == head_bytes);
  return bytes + body;
}

FileIndexReader::FileIndexReader(IndexBytes bytes) : bytes_(std::move(bytes)) {
  IndexInput in(bytes_);
  if (in.Take<int64_t>() != kMagic) bytes_.Fail("it does not begin with the magic number");
  int32_t version = in.Take<int32_t>();
  if (version != kVersion) bytes_.Fail(fmt::format("its version is {}, known is 1", version));
  in.Take<int32_t>();
  int64_t columns = in.Take<int32_t>();
  for (int64_t i = 0; i < columns; i++) {
    std::vector<Place>& places = columns_[in.TakeText()];
    int64_t indexes = in.Take<int32_t>();
    for (int64_t j = 0; j < indexes; j++) {
      std::string type = in.TakeText();
      int64_t start = in.Take<int32_t>();
      places.push_back({std::move(type), start, in.Take<int32_t>()});
    }
  }
}

IndexAnswer FileIndexReader::Ask(const std::string& column, const DataType& type,
                                 const std::vector<Value>& constants) const {
  IndexAnswer answer;
  auto found = columns_.find(column);
  if (found == columns_.end()) return answer;
  for (const Place& place : found->second) {
    bool is_bloom = place.type == NameOf(FileIndexType::kBloomFilter);
    bool is_bitmap = place.type == NameOf(FileIndexType::kBitmap);
    if (!is_bloom && !is_bitmap) continue;  // Indexes of a later time.
    if (!TakesFileIndex(type, is_bloom ? FileIndexType::kBloomFilter : FileIndexType::kBitmap)) {
      continue;
    }
    if (place.start == kNothing) return {false};
    IndexBytes part = bytes_.Part(place.start, place.length);
    if (is_bitmap) {
      RowSet rows = BitmapRowsOf(part, type, constants);
      if (rows.Empty()) return {false};
      answer.rows = std::move(rows);
      continue;
    }
    std::string filter = part.Read(0, part.size());
    if (std::none_of(constants.begin(), constants.end(), [&](const Value& constant) {
          return BloomMayContain(filter, type, constant, bytes_.name());
        })) {
      return {false};
    }
  }
  return answer;
}

}  // namespace millrace
