#include "format/bitmap_index.h"

#include <algorithm>

#include "base/error.h"

namespace millrace {

namespace {

constexpr int kVersion1 = 1;
constexpr int kVersion2 = 2;

/// A value as the dictionary has it: `order` compares as Java compares, `bytes` are its bytes.
struct Key {
  int64_t order = 0;
  std::string bytes;
  bool operator<(const Key& other) const {
    return order != other.order ? order < other.order : bytes < other.bytes;
  }
  bool operator==(const Key& other) const = default;
};

int64_t NumberBytes(IndexKeyKind kind) {
  switch (kind) {
    case IndexKeyKind::kBoolean:
    case IndexKeyKind::kInt8:
      return 1;
    case IndexKeyKind::kInt16:
      return 2;
    case IndexKeyKind::kInt32:
    case IndexKeyKind::kFloat:
      return 4;
    default:
      return 8;
  }
}

/// Bits of floating-point numbers with -0.0 before 0.0 and NaN last.
int64_t OrderOf(IndexKeyKind kind, int64_t number) {
  if (kind == IndexKeyKind::kFloat && number < 0) return number ^ INT32_MAX;
  if (kind == IndexKeyKind::kDouble && number < 0) return number ^ INT64_MAX;
  return number;
}

Key NumberKey(IndexKeyKind kind, int64_t number) {
  std::string all;
  AppendBig<int64_t>(all, number);
  return {OrderOf(kind, number), all.substr(static_cast<size_t>(8 - NumberBytes(kind)))};
}

Key TextKey(std::string_view text) {
  std::string bytes;
  AppendBig<int32_t>(bytes, static_cast<int32_t>(text.size()));
  bytes += text;
  return {0, bytes};
}

/// Keys of texts start with their length: compared without it, as unsigned bytes.
bool Less(IndexKeyKind kind, const Key& a, const Key& b) {
  if (kind != IndexKeyKind::kBytes) return a.order < b.order;
  return std::string_view(a.bytes).substr(4) < std::string_view(b.bytes).substr(4);
}

Key TakeKey(IndexInput& in, IndexKeyKind kind) {
  if (kind == IndexKeyKind::kBytes) return TextKey(in.TakeBytes(in.Take<int32_t>()));
  switch (NumberBytes(kind)) {
    case 1:
      return NumberKey(kind, in.Take<int8_t>());
    case 2:
      return NumberKey(kind, in.Take<int16_t>());
    case 4:
      return NumberKey(kind, in.Take<int32_t>());
    default:
      return NumberKey(kind, in.Take<int64_t>());
  }
}

struct Entry {
  Key key;
  int32_t offset = 0;
  int32_t length = -1;
};

/// What the head of an index says.
struct Head {
  int version = 0;
  int64_t rows = 0;
  int64_t values = 0;
  int64_t body = 0;  // Where bitmaps begin.
  struct Block {
    Key first;
    int64_t at = 0;
  };
  std::vector<Block> blocks;   // Version 2.
  std::vector<Entry> entries;  // Version 1.
};

Head ReadHead(const IndexBytes& index, IndexKeyKind kind) {
  IndexInput in(index);
  Head head;
  head.version = in.Take<int8_t>();
  if (head.version != kVersion1 && head.version != kVersion2) {
    index.Fail(fmt::format("a bitmap index of version {}, known are 1 and 2", head.version));
  }
  head.rows = in.Take<int32_t>();
  head.values = in.Take<int32_t>();
  if (head.rows < 0 || head.values < 0 || head.values > index.size()) {
    index.Fail(fmt::format("a bitmap index of {} rows and {} values", head.rows, head.values));
  }
  if (in.Take<int8_t>() != 0) {  // Nulls: not looked for.
    in.Take<int32_t>();
    if (head.version == kVersion2) in.Take<int32_t>();
  }
  if (head.version == kVersion1) {
    for (int64_t i = 0; i < head.values; i++) {
      Key key = TakeKey(in, kind);
      head.entries.push_back({std::move(key), in.Take<int32_t>()});
    }
    head.body = in.at();
    return head;
  }
  int64_t blocks = in.Take<int32_t>();
  if (blocks < 0 || blocks > index.size()) index.Fail(fmt::format("it has {} blocks", blocks));
  for (int64_t i = 0; i < blocks; i++) {
    Key key = TakeKey(in, kind);
    head.blocks.push_back({std::move(key), in.Take<int32_t>()});
  }
  head.body = in.Take<int32_t>();
  for (Head::Block& block : head.blocks) block.at += in.at();
  head.body += in.at();
  return head;
}

std::optional<Entry> FindEntry(const IndexBytes& index, const Head& head, IndexKeyKind kind,
                               const Key& key) {
  if (head.version == kVersion1) {
    for (const Entry& entry : head.entries) {
      if (entry.key == key) return entry;
    }
    return std::nullopt;
  }
  auto after = std::upper_bound(
      head.blocks.begin(), head.blocks.end(), key,
      [&](const Key& wanted, const Head::Block& block) { return Less(kind, wanted, block.first); });
  if (after == head.blocks.begin()) return std::nullopt;
  IndexInput in(index, std::prev(after)->at);
  int64_t entries = in.Take<int32_t>();
  for (int64_t i = 0; i < entries; i++) {
    Entry entry;
    entry.key = TakeKey(in, kind);
    entry.offset = in.Take<int32_t>();
    entry.length = in.Take<int32_t>();
    if (entry.key == key) return entry;
    if (Less(kind, key, entry.key)) return std::nullopt;
  }
  return std::nullopt;
}

RowSet ReadRows(const IndexBytes& index, const Head& head, const Entry& entry) {
  RowSet rows;
  if (entry.offset < 0) {
    int64_t row = -1 - int64_t{entry.offset};
    if (row >= head.rows) index.Fail(fmt::format("it names row {} of {}", row, head.rows));
    rows.Add(row);
    return rows;
  }
  int64_t at = head.body + entry.offset;
  int64_t length = entry.length >= 0 ? entry.length : std::max<int64_t>(0, index.size() - at);
  size_t used = 0;
  std::optional<RowSet> read = RowSet::Decode(index.Read(at, length), used);
  if (!read) index.Fail("one of its bitmaps is damaged");
  if (read->Size() != read->CountIn(0, head.rows)) {
    index.Fail(fmt::format("it names rows beyond {}", head.rows));
  }
  return std::move(*read);
}

/// The keys that a constant is equal to: 0.0 and -0.0 are two.
std::vector<Key> KeysOf(IndexKeyKind kind, const DataType& type, const Value& constant) {
  if (kind == IndexKeyKind::kBytes) return {TextKey(duckdb::StringValue::Get(constant))};
  int64_t number = ToIndexNumber(type, constant);
  if (kind == IndexKeyKind::kFloat && (number == 0 || number == INT32_MIN)) {
    return {NumberKey(kind, 0), NumberKey(kind, INT32_MIN)};
  }
  if (kind == IndexKeyKind::kDouble && (number == 0 || number == INT64_MIN)) {
    return {NumberKey(kind, 0), NumberKey(kind, INT64_MIN)};
  }
  return {NumberKey(kind, number)};
}

}  // namespace

BitmapIndex::BitmapIndex(const DataType& type, int64_t block_bytes)
    : type_(type), kind_(*IndexKeyKindOf(type)), block_bytes_(block_bytes) {}

void BitmapIndex::Add(const UnifiedVectorFormat& column, idx_t rows) {
  std::vector<int64_t> numbers(rows);
  bool is_text = kind_ == IndexKeyKind::kBytes;
  if (!is_text) ToIndexNumbers(type_, column, rows, numbers.data());
  auto* texts = reinterpret_cast<const string_t*>(column.data);
  for (idx_t i = 0; i < rows; i++, rows_++) {
    idx_t at = column.sel->get_index(i);
    if (!column.validity.RowIsValid(at)) {
      nulls_.Add(rows_);
    } else if (is_text) {
      std::string_view text(texts[at].GetData(), texts[at].GetSize());
      auto found = texts_.find(text);
      if (found == texts_.end()) found = texts_.emplace(std::string(text), RowSet()).first;
      found->second.Add(rows_);
    } else {
      numbers_[numbers[i]].Add(rows_);
    }
  }
}

std::string BitmapIndex::Finish() const {
  std::vector<std::pair<Key, const RowSet*>> values;
  for (const auto& [number, rows] : numbers_) values.emplace_back(NumberKey(kind_, number), &rows);
  for (const auto& [text, rows] : texts_) values.emplace_back(TextKey(text), &rows);
  std::sort(values.begin(), values.end(),
            [&](const auto& a, const auto& b) { return Less(kind_, a.first, b.first); });
  std::string bitmaps;
  int64_t nulls = nulls_.Size();
  std::string null_bitmap = nulls_.Encode();
  if (nulls > 1) bitmaps = null_bitmap;
  // The dictionary's blocks, and what the head says of each: first value and place.
  std::string blocks, block, directory;
  int32_t in_block = 0, block_count = 0;
  auto close_block = [&] {
    AppendBig<int32_t>(blocks, in_block);
    blocks += block;
    block.clear();
    in_block = 0;
  };
  for (const auto& [key, rows] : values) {
    auto bytes = static_cast<int64_t>(4 + block.size() + key.bytes.size() + 8);
    if (in_block > 0 && bytes > block_bytes_) close_block();
    if (in_block == 0) {
      directory += key.bytes;
      AppendBig<int32_t>(directory, static_cast<int32_t>(blocks.size()));
      block_count++;
    }
    block += key.bytes;
    if (rows->Size() == 1) {
      AppendBig<int32_t>(block, static_cast<int32_t>(-1 - rows->Positions()[0]));
      AppendBig<int32_t>(block, -1);
    } else {
      std::string bitmap = rows->Encode();
      AppendBig<int32_t>(block, static_cast<int32_t>(bitmaps.size()));
      AppendBig<int32_t>(block, static_cast<int32_t>(bitmap.size()));
      bitmaps += bitmap;
    }
    in_block++;
  }
  if (in_block > 0) close_block();
  std::string bytes(1, static_cast<char>(kVersion2));
  AppendBig<int32_t>(bytes, static_cast<int32_t>(rows_));
  AppendBig<int32_t>(bytes, static_cast<int32_t>(values.size()));
  bytes += static_cast<char>(nulls > 0);
  if (nulls > 0) {
    AppendBig<int32_t>(bytes, nulls == 1 ? static_cast<int32_t>(-1 - nulls_.Positions()[0]) : 0);
    AppendBig<int32_t>(bytes, static_cast<int32_t>(null_bitmap.size()));
  }
  AppendBig<int32_t>(bytes, block_count);
  bytes += directory;
  AppendBig<int32_t>(bytes, static_cast<int32_t>(blocks.size()));
  return bytes + blocks + bitmaps;
}

RowSet BitmapRowsOf(const IndexBytes& index, const DataType& type,
                    const std::vector<Value>& constants) {
  IndexKeyKind kind = *IndexKeyKindOf(type);
  Head head = ReadHead(index, kind);
  RowSet rows;
  for (const Value& constant : constants) {
    for (const Key& key : KeysOf(kind, type, constant)) {
      auto entry = FindEntry(index, head, kind, key);
      if (entry) rows.AddAll(ReadRows(index, head, *entry));
    }
  }
  return rows;
}

}  // namespace millrace
